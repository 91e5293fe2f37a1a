//! The order of events in a bar, and nothing else (semantics 1.5).
//!
//! It must not know where signals come from nor what is done with the results. [`api`] is what goes in and comes out;
//! [`Account::step_tile`] is the bar loop and reads like the semantics; the phases are in a file each.

mod account;
mod admit;
mod calendar;
mod close;
mod fill;
mod funding;
mod intrabar;
mod isolated;
mod liquidation;
mod margin;
mod next_open;
mod open;
mod orders;
mod quiet;
mod run;
mod stretch;

pub use crate::events as api;
pub use account::{Account, TileFeed, Venue};
pub use run::{RunOptions, run_account};
pub use stretch::Scratch;
