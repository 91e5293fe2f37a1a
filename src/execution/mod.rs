//! Room `execution`.
