//! Oracle modes.

use barloom::signals::{OracleMode, oracle};

use super::market::{Bar, bar, bars_of, market, masks};

/// Two symbols over `bars` bars, the second listed at bar 3 and with a gap at bar 5.
fn two(bars: usize) -> Vec<Vec<Option<Bar>>> {
    let one = |missing: &[usize]| {
        (0..bars).map(|row| (!missing.contains(&row)).then(|| bar(1.0, 1.0, 0.0, 1.0))).collect()
    };
    vec![one(&[]), one(&[0, 1, 2, 5])]
}

#[test]
fn always_long_enters_once_and_leaves_at_the_last_bar_but_one() {
    let market = market(&two(12));
    for (mode, entry, other) in [(OracleMode::AlwaysLong, 0, 2), (OracleMode::AlwaysShort, 2, 0)] {
        for tile_rows in [1, 5, 12] {
            let found = masks(&mut oracle(mode, 1, &market, 0..12), 0, &market, tile_rows);
            assert_eq!(bars_of(&found[entry], &market, 0), [0]);
            assert_eq!(bars_of(&found[entry], &market, 1), [3]);
            assert!(found[other].iter().all(|&word| word == 0));
            for exit in [1, 3] {
                assert_eq!(bars_of(&found[exit], &market, 0), [10]);
                assert_eq!(bars_of(&found[exit], &market, 1), [10]);
            }
        }
    }
}

#[test]
fn a_run_begins_and_ends_inside_the_data() {
    let market = market(&two(12));
    let found = masks(&mut oracle(OracleMode::AlwaysLong, 1, &market, 5..9), 0, &market, 4);
    // The second symbol lacks bar 5.
    assert_eq!(bars_of(&found[0], &market, 0), [5]);
    assert_eq!(bars_of(&found[0], &market, 1), [6]);
    assert_eq!(bars_of(&found[1], &market, 0), [7]);
    // Nothing is entered at the last bar but one, nor in a run that is too short to close anything.
    let found = masks(&mut oracle(OracleMode::AlwaysLong, 1, &market, 5..7), 0, &market, 4);
    assert!(bars_of(&found[0], &market, 0).is_empty());
    let found = masks(&mut oracle(OracleMode::AlwaysLong, 1, &market, 0..1), 0, &market, 4);
    assert!(found.iter().flatten().all(|&word| word == 0));
}

#[test]
fn flat_wants_nothing() {
    let market = market(&two(12));
    let found = masks(&mut oracle(OracleMode::Flat, 1, &market, 0..12), 0, &market, 5);
    assert!(found.iter().flatten().all(|&word| word == 0));
}

#[test]
fn random_draws_at_every_96th_present_bar() {
    let bars = 2_000;
    let market = market(&two(bars));
    let found = masks(&mut oracle(OracleMode::Random, 7, &market, 0..bars), 0, &market, 300);
    for (symbol, draws) in [(0, 0..bars), (1, 3..bars)] {
        let mut at: Vec<usize> = Vec::new();
        let mut kinds = [0; 3];
        let listed = |mask: usize| bars_of(&found[mask], &market, symbol);
        for (kind, mask) in [(0, 0), (1, 2), (2, 1)] {
            let bars: Vec<usize> = listed(mask).into_iter().filter(|&bar| bar != bars - 2).collect();
            kinds[kind] = bars.len();
            at.extend(bars);
        }
        at.sort_unstable();
        let expected: Vec<usize> = match symbol {
            0 => draws.step_by(96).collect(),
            // Its first draw at bar 3; the gap at bar 5 moves the others by one.
            _ => [3].into_iter().chain((100..bars).step_by(96)).collect(),
        };
        assert_eq!(at, expected, "symbol {symbol}");
        assert!(kinds.iter().all(|&count| count >= 2), "{kinds:?}");
        assert_eq!(listed(1), listed(3));
        assert_eq!(listed(1).last(), Some(&(bars - 2)));
    }
    let other = masks(&mut oracle(OracleMode::Random, 8, &market, 0..bars), 0, &market, 300);
    assert_ne!(found, other, "the seed matters");
    let again = masks(&mut oracle(OracleMode::Random, 7, &market, 0..bars), 0, &market, 17);
    assert_eq!(found, again, "tiles do not");
    // Neither do other symbols, nor where the data begin, as long as the same bars are drawn.
    let alone = super::market::market(&two(bars)[..1]);
    let alone_masks = masks(&mut oracle(OracleMode::Random, 7, &alone, 0..bars), 0, &alone, 300);
    assert_eq!(bars_of(&alone_masks[0], &alone, 0), bars_of(&found[0], &market, 0));
    let later = masks(&mut oracle(OracleMode::Random, 7, &market, 96..bars), 0, &market, 300);
    let from_96 = |bars: Vec<usize>| bars.into_iter().filter(|&bar| bar >= 96).collect::<Vec<_>>();
    assert_eq!(bars_of(&later[0], &market, 0), from_96(bars_of(&found[0], &market, 0)));
}
