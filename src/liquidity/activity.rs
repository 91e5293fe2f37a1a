//! What a bar's activity is measured in, and given baselines in the same unit.
//!
//! A symbol whose first bar has a quote volume is measured in it, any other in base volume. The choice is made once,
//! of the symbol's own data and of nothing later. Given baselines are base volume; where the activity is in quote units
//! they are taken at the bar's own mean price, so that the ratio is that of the volumes.

/// Where a lane is: no bar yet, measured in base volume, measured in quote volume.
const UNSEEN: f64 = 0.0;
const BASE: f64 = 1.0;
const QUOTE: f64 = 2.0;

/// State of [`measure`]: the unit and the last mean price of each lane.
pub(super) fn state_len(lanes: usize) -> usize {
    2 * lanes
}

/// Fills `activity` with one row's activity, and `given` with its given baselines; `NaN` where there is none.
pub(super) fn measure(
    volume: &[f64],
    quote_volume: Option<&[f64]>,
    baseline_volume: Option<&[f64]>,
    state: &mut [f64],
    activity: &mut [f64],
    given: &mut [f64],
) {
    let (units, prices) = state.split_at_mut(volume.len());
    match quote_volume {
        None => activity.copy_from_slice(volume),
        Some(quotes) => {
            let lanes = volume.iter().zip(quotes).zip(units.iter_mut().zip(prices.iter_mut()));
            for (out, ((&volume, &quote), (unit, price))) in activity.iter_mut().zip(lanes) {
                if *unit == UNSEEN && !volume.is_nan() {
                    (*unit, *price) = (if quote.is_nan() { BASE } else { QUOTE }, f64::NAN);
                }
                if volume > 0.0 && quote > 0.0 {
                    *price = quote / volume;
                }
                // A bar that lacks its quote volume counts at the price of the last one that had it.
                *out = match *unit {
                    QUOTE if quote.is_nan() => volume * *price,
                    QUOTE if !volume.is_nan() => quote,
                    _ => volume,
                };
            }
        }
    }
    match baseline_volume {
        None => given.fill(f64::NAN),
        Some(baselines) => {
            for ((out, &baseline), (&unit, &price)) in
                given.iter_mut().zip(baselines).zip(units.iter().zip(prices.iter()))
            {
                *out = if unit == QUOTE { baseline * price } else { baseline };
            }
        }
    }
}
