//! `cargo xtask lint`: checks template.yaml, also that CloudFormation takes as much as stands in it.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::local::places::Places;
use crate::local::processes;
use crate::local::template::Template;
use crate::local::tools::Tools;
use crate::say;

/// Runs cfn-lint; its status is ours.
pub(crate) async fn lint(places: &Places) -> Result<ExitCode> {
    let tools = Tools::ensure(places).await?;
    // The package can't be run as a module, and a script's first line fails where the path is long.
    let mut linter = Command::new(tools.python());
    linter.args(["-c", "import sys; from cfnlint.runner import main; sys.exit(main())"]).arg(places.template());
    let status = processes::run(places, "cfn-lint", linter.current_dir(places.checkout())).await?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let template = Template::read(places, &tools).await?;
    template.check_size()?;
    let Template { resources, outputs, .. } = template;
    say::note(format_args!("template.yaml is sound: {resources} resources and {outputs} outputs once it is unrolled"));
    Ok(ExitCode::SUCCESS)
}
