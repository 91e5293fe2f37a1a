//! The SIMD level in use, chosen once at run time, and the vector types kernels are written in.
//!
//! A kernel is one `#[inline(always)]` function generic over [`Simd`], called through [`fearless_simd::dispatch!`];
//! every level gives the same bits, so the level is a matter of speed alone and may be forced for tests.

use std::sync::atomic::{AtomicU8, Ordering};

pub use fearless_simd::{Level, Simd, SimdBase, dispatch, f64x8, mask64x8, prelude};

/// Lanes per vector chunk; every row of a panel is a whole number of chunks.
pub const LANE_CHUNK: usize = 8;

/// SIMD levels that can be forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedLevel {
    /// 128-bit vectors, the baseline of x86-64.
    Sse2,
    /// 256-bit vectors.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

static FORCED: AtomicU8 = AtomicU8::new(0);

/// The level kernels run at: the forced one, else the best this CPU has.
#[inline]
pub fn level() -> Level {
    let best = Level::new();
    #[cfg(target_arch = "x86_64")]
    {
        let forced = match FORCED.load(Ordering::Relaxed) {
            1 => best.as_sse2().map(Level::Sse2),
            2 => best.as_avx2().map(Level::Avx2),
            3 => best.as_avx512().map(Level::Avx512),
            _ => None,
        };
        if let Some(level) = forced {
            return level;
        }
    }
    best
}

/// Forces a level for the whole process (`None`: back to the best). Returns whether this CPU has it; if not, nothing
/// changes.
///
/// ```
/// use barloom_kernels::simd::{force_level, ForcedLevel};
/// assert!(force_level(None));
/// if cfg!(target_arch = "x86_64") {
///     assert!(force_level(Some(ForcedLevel::Sse2)));
///     force_level(None);
/// }
/// ```
pub fn force_level(forced: Option<ForcedLevel>) -> bool {
    let code = match forced {
        None => 0,
        Some(ForcedLevel::Sse2) => 1,
        Some(ForcedLevel::Avx2) => 2,
        Some(ForcedLevel::Avx512) => 3,
    };
    #[cfg(target_arch = "x86_64")]
    {
        let best = Level::new();
        let has = match code {
            1 => best.as_sse2().is_some(),
            2 => best.as_avx2().is_some(),
            3 => best.as_avx512().is_some(),
            _ => true,
        };
        if has {
            FORCED.store(code, Ordering::Relaxed);
        }
        has
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        code == 0
    }
}

/// Runs `$op` with `$simd` bound to the token of [`level()`], compiled for SSE2, AVX2 and AVX-512.
///
/// Like [`dispatch!`], but without a fourth copy of everything for CPUs between SSE4.2 and AVX2, which run the SSE2 one:
/// a quarter less to compile, no bit different.
macro_rules! at_level {
    ($simd:pat => $op:expr) => {{
        let level = $crate::simd::level();
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = level.as_avx512() {
            let $simd = token;
            $crate::simd::Simd::vectorize(token, #[inline(always)] || $op)
        } else if let Some(token) = level.as_avx2() {
            let $simd = token;
            $crate::simd::Simd::vectorize(token, #[inline(always)] || $op)
        } else {
            let token = level.as_sse2().expect("SSE2 is part of x86-64");
            let $simd = token;
            $crate::simd::Simd::vectorize(token, #[inline(always)] || $op)
        }
        #[cfg(not(target_arch = "x86_64"))]
        $crate::simd::dispatch!(level, $simd => $op)
    }};
}
pub(crate) use at_level;
