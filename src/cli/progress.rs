//! Progress bars with rate and time left, on stderr, only where a person looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use barloom::error::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;

/// A bar over `len` units named `unit`.
pub(super) fn bar(output: &Output, len: u64, unit: &str) -> ProgressBar {
    let target =
        if output.progress { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    let template =
        format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  ETA {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the process at once.
pub(super) fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "the person asked twice")]
            std::process::exit(130);
        }
    })
    .map_err(|error| Error::Io {
        path: "Ctrl-C".into(),
        doing: "installing the handler",
        source: std::io::Error::other(error),
    })?;
    Ok(stop)
}
