//! Where a store may lie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::store::hex;

/// Folders to look for a store and to build one in, best first.
pub(crate) fn candidates(data_dir: &Path, store_dir: Option<&Path>) -> Vec<PathBuf> {
    match store_dir {
        Some(dir) => vec![dir.to_path_buf()],
        None => {
            let cache = cache_dir(|key| std::env::var_os(key)).map(|cache| {
                let whole = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
                let name = hex(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..8]);
                cache.join("barloom").join(name)
            });
            [Some(data_dir.join(".barloom")), cache].into_iter().flatten().collect()
        }
    }
}

/// The user's cache folder, by the platform's own convention.
fn cache_dir(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |key: &str| var(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        set("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library").join("Caches"))
    } else {
        set("XDG_CACHE_HOME")
            .filter(|dir| dir.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_folder_is_the_only_one() {
        assert_eq!(candidates(Path::new("d"), Some(Path::new("s"))), [PathBuf::from("s")]);
        assert_eq!(candidates(Path::new("d"), None)[0], Path::new("d").join(".barloom"));
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_cache_folder_follows_the_environment() {
        let home = |key: &str| (key == "HOME").then(|| OsString::from("/home/u"));
        assert_eq!(cache_dir(home), Some(PathBuf::from("/home/u/.cache")));
        assert_eq!(cache_dir(|_| Some(OsString::from("/c"))), Some(PathBuf::from("/c")));
        assert_eq!(cache_dir(|_| None), None);
    }
}
