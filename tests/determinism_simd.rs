//! The same bits on every SIMD level this processor has. A forced level is global to the process, so this test has a
//! process to itself.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod sweeps;

use barloom_kernels::simd::{ForcedLevel, force_level};
use sweeps::Sweep;

#[test]
fn every_simd_level_gives_the_same_bits() {
    for symbols in [12, 3] {
        let sweep = Sweep::new(symbols, 1_200);
        assert!(force_level(None));
        let best = sweep.whole(2, 256);
        let mut forced = 0;
        for level in [ForcedLevel::Sse2, ForcedLevel::Avx2, ForcedLevel::Avx512] {
            if !force_level(Some(level)) {
                println!("skipped: this processor has no {level:?}");
                continue;
            }
            forced += 1;
            let other = sweep.whole(2, 64);
            assert_eq!(other.result_digest, best.result_digest, "{symbols} symbols, {level:?}");
        }
        assert!(force_level(None));
        assert!(forced > 0 || !cfg!(target_arch = "x86_64"), "x86-64 has at least SSE2");
    }
}
