//! Reads what the kernels say about themselves ([`kernels`]) and lays it out as a page ([`page`]).
#![allow(unreachable_pub, reason = "a module of one test")]

pub mod kernels;
pub mod page;

use std::path::Path;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
