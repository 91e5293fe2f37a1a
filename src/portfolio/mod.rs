//! The account as columns: positions, wallet and cash, in both accounting forms (semantics 4.2–4.4).
//!
//! It must not know why a fill happened or what it cost to get it; it books what it is given. Read next: [`Book`].

mod book;
mod money;
mod pick;

pub use book::{Book, Booked, Lane};
pub use money::{Money, MoneyColumns};
pub(crate) use pick::pick;
