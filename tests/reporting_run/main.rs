//! A tiny scripted account feeds the recorders; books and files are checked by hand.

mod account;
mod books;
mod files;
