//! The config: the spec as written, the plan as run, and the one place where defaults live.
//!
//! A config file names only what differs from [`Spec::default`]. [`load`] reads it, holds every key against the key
//! table ([`schema`] is that table in public) and returns a [`Spec`]; [`Spec::plan`] turns it into the
//! [`plan::EnginePlan`] that the engine runs. A key that asks for a feature this version lacks is refused, never
//! ignored. This room must not know the engine or what a rule expression means, and of the market only how a stamp is
//! written.
//!
//! Read next: [`spec`] for the keys and their defaults, `judge` for how a value is judged, [`plan`] for the result.

mod axes;
pub mod bounds;
mod fees;
mod forms;
mod judge;
mod keys;
mod load;
mod parse;
pub mod plan;
mod schema;
pub mod spec;
mod to_plan;

pub use axes::Axis;
pub use keys::key_paths;
pub use load::{LoadedSpec, load};
pub use schema::{base_params, schema};
pub use spec::{Spec, SweepSpec};
