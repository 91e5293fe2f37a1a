//! Files that are either whole or not there: written under a temporary name in the same folder, then renamed.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{BadInput, Result, io_error};

/// Temporary names of this process, so that two writers of one file never share one.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// Writes a file so that readers see the old one or the new one, never a part.
///
/// The bytes are on disk before the rename. Other files of the folder are left alone.
///
/// # Errors
/// [`crate::Error::Io`] naming the file; the temporary file is removed.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{name}.{}-{unique}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written
        .map_err(|error| io_error(path, "writing", error))
        .and_then(|()| fs::rename(&temporary, path).map_err(|error| io_error(path, "renaming", error)));
    if done.is_err() {
        // The first error is the one to tell; a leftover is hidden and harmless.
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Makes the renames in a folder durable. A no-op where folders cannot be opened as files.
///
/// # Errors
/// [`crate::Error::Io`] naming the folder.
pub fn sync_folder(folder: impl AsRef<Path>) -> Result<()> {
    #[cfg(unix)]
    {
        let folder = folder.as_ref();
        File::open(folder).and_then(|f| f.sync_all()).map_err(|error| io_error(folder, "flushing", error))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Creates a folder for results, with its parents; an existing one is used as it is.
///
/// # Errors
/// Bad input when something else has that name; [`crate::Error::Io`] otherwise.
pub fn create_folder(folder: impl AsRef<Path>) -> Result<()> {
    let folder = folder.as_ref();
    if folder.exists() && !folder.is_dir() {
        return Err(BadInput::expected("a folder for the results")
            .file(folder)
            .found("a file")
            .fix("choose another folder")
            .into());
    }
    fs::create_dir_all(folder).map_err(|error| io_error(folder, "creating the folder", error))
}
