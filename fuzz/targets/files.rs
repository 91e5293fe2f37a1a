//! Contract, bracket and funding files: whatever the bytes, rules that hang together or one line that says why not.
//!
//! The first byte chooses the file, the rest is what it holds. Parquet is left out: the crate that decodes it panics
//! over damaged bytes, which the readers contain.
#![no_main]

use barloom::data::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let result = match choice {
        b'c' => fuzzing::contract(bytes),
        b'b' => fuzzing::brackets(bytes),
        _ => fuzzing::funding_csv(bytes, choice == b'd'),
    };
    if let Err(error) = result {
        let line = error.to_string();
        assert!(!line.contains(['\n', '\r']), "more than a line: {line:?}");
    }
});
