//! The choices that bars cannot decide, all against the account or all in its favour.
//!
//! A bar tells its extremes, not their order, and not how much traded at a price. Five keys choose what is assumed
//! (semantics 2.4 to 2.7, 3.3). Run with all of them at their worst and at their best, the same rules give two further
//! equity curves; how far they lie apart says how much of a result hangs on what the data do not tell.
//!
//! Each choice is worse or better for one fill of one order. Over a run the three accounts part ways: a stop that was
//! spared by luck may lose more later. So the curves are no strict bounds, and `base` may leave them.

use super::plan::{BracketPolicy, EnginePlan, FundingBoundary, LimitRule, TrailMode};

/// Which way ambiguous choices go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// All against the account.
    Pessimistic,
    /// All in its favour.
    Optimistic,
}

/// A plan with the ambiguous choices made one way; everything else stays.
///
/// Trailing stops: `next_bar` is the pessimistic mode. With `favourable_first` the bar's good extreme comes first and
/// raises the stop before the bad one is tested, so a stop hit in the same bar is never filled worse.
#[must_use]
pub fn bounded(plan: &EnginePlan, bound: Bound) -> EnginePlan {
    let mut plan = plan.clone();
    let execution = &mut plan.execution;
    match bound {
        Bound::Pessimistic => {
            execution.bracket_policy = BracketPolicy::Pessimistic;
            execution.stop_overshoot = 1.0;
            execution.limit_rule = LimitRule::Through;
            execution.trail_mode = TrailMode::NextBar;
            plan.funding.boundary = FundingBoundary::Pessimistic;
        }
        Bound::Optimistic => {
            execution.bracket_policy = BracketPolicy::Optimistic;
            execution.stop_overshoot = 0.0;
            execution.limit_rule = LimitRule::Touch;
            execution.trail_mode = TrailMode::FavourableFirst;
            plan.funding.boundary = FundingBoundary::HeldBefore;
        }
    }
    plan
}

/// Keys of the ambiguous choices and what a plan has for them.
pub fn choices(plan: &EnginePlan) -> [(&'static str, String); 5] {
    let execution = &plan.execution;
    let bracket = match execution.bracket_policy {
        BracketPolicy::Pessimistic => "pessimistic",
        BracketPolicy::Adaptive => "adaptive",
        BracketPolicy::Optimistic => "optimistic",
    };
    let limit = match execution.limit_rule {
        LimitRule::Through => "through".to_owned(),
        LimitRule::Touch => "touch".to_owned(),
        LimitRule::TouchProb(probability) => format!("touch_prob:{probability}"),
    };
    let trail = match execution.trail_mode {
        TrailMode::NextBar => "next_bar",
        TrailMode::FavourableFirst => "favourable_first",
    };
    let boundary = match plan.funding.boundary {
        FundingBoundary::HeldBefore => "held_before",
        FundingBoundary::IncludeOpenFills => "include_open_fills",
        FundingBoundary::Pessimistic => "pessimistic",
    };
    [
        ("execution.bracket_policy", bracket.to_owned()),
        ("execution.stop_overshoot", execution.stop_overshoot.to_string()),
        ("execution.limit_rule", limit),
        ("execution.trail_mode", trail.to_owned()),
        ("funding.boundary", boundary.to_owned()),
    ]
}
