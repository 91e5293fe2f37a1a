//! `barloom schema`.

use barloom::error::Result;

use super::output::Output;

pub(super) fn schema(output: &Output) -> Result<()> {
    output.print(&format!("{:#}\n", barloom::config::schema()));
    Ok(())
}
