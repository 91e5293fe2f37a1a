//! Room `portfolio`.
