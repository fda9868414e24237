//! What stands in template.yaml, as the linter's own reader unrolls it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::places::Places;
use super::processes;
use super::tools::Tools;

/// CloudFormation takes 500 resources of the template with its loops unrolled. What is above this mark is too near.
const MOST_RESOURCES: usize = 450;
/// The outputs that CloudFormation takes.
const MOST_OUTPUTS: usize = 200;
/// A larger body has to be handed over in S3.
pub(crate) const LARGEST_BODY: u64 = 51_200;
/// Reads it: Python, as the linter is.
const DESCRIBE: &str = include_str!("template/describe.py");

/// A template.
#[derive(Debug, Deserialize)]
pub(crate) struct Template {
    /// What can be given at a deployment.
    pub(crate) parameters: Vec<Parameter>,
    /// Where the code of the functions is, relative to the checkout.
    pub(crate) code: Vec<String>,
    /// Resources with all loops unrolled, those included that the transform for serverless functions adds.
    pub(crate) resources: usize,
    /// Outputs with all loops unrolled.
    pub(crate) outputs: usize,
}

/// A parameter of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: String,
    /// Whether it has no default.
    pub(crate) required: bool,
    /// The values that it takes; any where there are none.
    pub(crate) allowed: Vec<String>,
    /// What it is for.
    pub(crate) description: String,
}

impl Template {
    /// Reads the checkout's template.
    pub(crate) async fn read(places: &Places, tools: &Tools) -> Result<Self> {
        let mut python = Command::new(tools.python());
        python.args(["-c", DESCRIBE]).arg(places.template());
        let text = processes::output(places, "reading template.yaml", &mut python).await?;
        serde_json::from_slice(&text).context("what was read of template.yaml is not understood")
    }

    /// Whether CloudFormation takes so much.
    ///
    /// # Errors
    ///
    /// Says what there is too much of.
    pub(crate) fn check_size(&self) -> Result<()> {
        if self.resources > MOST_RESOURCES {
            bail!(
                "the template has {} resources, and CloudFormation takes 500: keep to {MOST_RESOURCES}",
                self.resources
            );
        }
        if self.outputs > MOST_OUTPUTS {
            bail!("the template has {} outputs, and CloudFormation takes {MOST_OUTPUTS}", self.outputs);
        }
        Ok(())
    }

    /// The zips that it names and that are not below this folder.
    pub(crate) fn missing_code(&self, checkout: &Path) -> Vec<&str> {
        self.code.iter().map(String::as_str).filter(|zip| !checkout.join(zip).is_file()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_resources_and_missing_zips_are_told() {
        let mut template = Template {
            parameters: Vec::new(),
            code: vec!["Cargo.toml".into(), "no.zip".into()],
            resources: 450,
            outputs: 9,
        };
        template.check_size().unwrap();
        assert_eq!(template.missing_code(Path::new(env!("CARGO_MANIFEST_DIR"))), ["no.zip"]);
        template.resources += 1;
        assert!(template.check_size().unwrap_err().to_string().contains("451 resources"));
    }
}
