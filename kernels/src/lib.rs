//! Columnar, SIMD-vectorised trading kernels over `[bar][lane]` panels.
//!
//! Free functions over slices: inputs, then parameters, then state, then outputs. The caller owns every buffer. No
//! I/O, no threads, no clock, no allocation. The same bits on SSE2, AVX2 and AVX-512: no fused multiply-add, no
//! reordering, sums across lanes through one fixed tree ([`sum`]).

pub mod account;
pub mod simd;
pub mod sum;
