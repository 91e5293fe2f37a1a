//! Maps a file into memory. The only file of this crate with `unsafe` in it, and it does nothing else.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; it is done here and nowhere else")]

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// The contents of a file as shared bytes; the mapping lives as long as its last clone.
pub(crate) fn map_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is read-only and private to readers. A store is replaced by rename and never written in
    // place (`store::write`), so its mapped bytes do not change; a source or store that somebody else truncates or
    // rewrites in place while it is mapped is outside of what this program promises (docs: store).
    let map = unsafe { Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}
