//! Choices of which one carries a number, written as text: `bars:96`, `touch_prob:0.5`, `constant:0.0001`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `universe.refresh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Refresh {
    /// Monday 00:00 UTC.
    Weekly,
    /// 00:00 UTC.
    Daily,
    /// Every so many grid bars.
    Bars(u32),
}

/// `execution.limit_rule`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LimitRuleSpec {
    /// Price must trade one tick through the limit.
    Through,
    /// Touching the limit is enough.
    Touch,
    /// A touch fills with this probability.
    TouchProb(f64),
}

/// `funding.missing`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FundingMissing {
    /// No record, no payment.
    None,
    /// The symbol's last settled rate.
    LastRate,
    /// This rate.
    Constant(f64),
}

impl FromStr for Refresh {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("bars:").and_then(|n| n.parse().ok())) {
            ("weekly", _) => Ok(Self::Weekly),
            ("daily", _) => Ok(Self::Daily),
            (_, Some(bars)) if bars > 0 => Ok(Self::Bars(bars)),
            _ => Err("weekly, daily or bars:n".into()),
        }
    }
}

impl fmt::Display for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekly => f.write_str("weekly"),
            Self::Daily => f.write_str("daily"),
            Self::Bars(bars) => write!(f, "bars:{bars}"),
        }
    }
}

impl FromStr for LimitRuleSpec {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("touch_prob:").and_then(|p| p.parse::<f64>().ok())) {
            ("through", _) => Ok(Self::Through),
            ("touch", _) => Ok(Self::Touch),
            (_, Some(p)) if (0.0..=1.0).contains(&p) => Ok(Self::TouchProb(p)),
            _ => Err("through, touch or touch_prob:p with p from 0 to 1".into()),
        }
    }
}

impl fmt::Display for LimitRuleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through => f.write_str("through"),
            Self::Touch => f.write_str("touch"),
            Self::TouchProb(p) => write!(f, "touch_prob:{p}"),
        }
    }
}

impl FromStr for FundingMissing {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("constant:").and_then(|r| r.parse::<f64>().ok())) {
            ("none", _) => Ok(Self::None),
            ("last_rate", _) => Ok(Self::LastRate),
            (_, Some(rate)) if (-1.0..=1.0).contains(&rate) => Ok(Self::Constant(rate)),
            _ => Err("none, last_rate or constant:r with r from -1 to 1".into()),
        }
    }
}

impl fmt::Display for FundingMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::LastRate => f.write_str("last_rate"),
            Self::Constant(rate) => write!(f, "constant:{rate}"),
        }
    }
}

/// Serde goes through the text, so that file, schema and `Display` cannot disagree.
macro_rules! as_text {
    ($($form:ty),+) => {$(
        impl TryFrom<String> for $form {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$form> for String {
            fn from(form: $form) -> Self {
                form.to_string()
            }
        }
    )+};
}
as_text!(Refresh, LimitRuleSpec, FundingMissing);

/// Why `text` is no value of the form key `key`: the forms it takes. `None` when it is one, or `key` has no form.
pub(super) fn fault(key: &str, text: &str) -> Option<String> {
    match key {
        "universe.refresh" => text.parse::<Refresh>().err(),
        "execution.limit_rule" => text.parse::<LimitRuleSpec>().err(),
        "funding.missing" => text.parse::<FundingMissing>().err(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read_back_as_written() {
        for text in ["weekly", "daily", "bars:96"] {
            assert_eq!(text.parse::<Refresh>().unwrap().to_string(), text);
        }
        for text in ["through", "touch", "touch_prob:0.25"] {
            assert_eq!(text.parse::<LimitRuleSpec>().unwrap().to_string(), text);
        }
        for text in ["none", "last_rate", "constant:-0.0001"] {
            assert_eq!(text.parse::<FundingMissing>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn forms_out_of_range_are_refused() {
        for text in ["", "bars:0", "bars:-1", "bars:1.5", "bars:", "monthly", "Weekly"] {
            assert!(text.parse::<Refresh>().is_err(), "{text}");
        }
        for text in ["touch_prob:1.1", "touch_prob:nan", "touch_prob:"] {
            assert!(text.parse::<LimitRuleSpec>().is_err(), "{text}");
        }
        for text in ["constant:inf", "constant:2", "constant"] {
            assert!(text.parse::<FundingMissing>().is_err(), "{text}");
        }
    }
}
