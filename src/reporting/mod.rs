//! Room `reporting`.
