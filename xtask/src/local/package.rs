//! From binaries to the zips that Lambda runs, each with one file, `bootstrap`.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::places::{Places, make_folder};
use super::processes;
use crate::say;

/// The newest glibc that Amazon Linux 2023 offers a function: 2.34.
const LAMBDA_GLIBC_MINOR: u32 = 34;

/// The variable that makes a function stop at points (`shared::fault_points`); its name is in every binary that has any.
const FAULT_POINTS: &[u8] = b"FAULT_POINTS";

/// What kind of build is packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quick to build, for the local stack.
    Local,
    /// Small and quick to start, for Lambda.
    Release(Architecture),
}

/// A processor that Lambda offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Architecture {
    /// AWS Graviton, the cheaper one.
    #[value(name = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// The one of this machine.
    pub(crate) fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 }
    }

    /// Its name in the template.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }

    fn is_that_of_this_machine(self) -> bool {
        self == Self::of_this_machine() && cfg!(target_os = "linux")
    }
}

/// A function's binary and what became of it.
#[derive(Debug)]
pub(crate) struct Packaged {
    /// The binary's name.
    pub(crate) name: String,
    /// Its zip.
    pub(crate) zip: PathBuf,
    /// Bytes of the stripped binary.
    pub(crate) size: u64,
}

/// Builds every function and brings its zip up to date.
pub(crate) async fn package(places: &Places, build: Build) -> Result<Vec<Packaged>> {
    let binaries = compile(places, build).await?;
    let folder = places.package();
    make_folder(&folder)?;
    let mut all = Vec::new();
    for binary in &binaries {
        all.push(pack(places, binary, build).await.with_context(|| format!("can't package {}", binary.name))?);
    }
    remove_others(&folder, &binaries)?;
    Ok(all)
}

/// The zips in a folder that were not made by a release build for this processor, by name.
pub(crate) fn not_built_for(folder: &Path, architecture: Architecture) -> Result<Vec<String>> {
    let expected = format!("{:?} ", Build::Release(architecture));
    let mut others = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = entry?.path();
        let is_zip = path.extension().is_some_and(|extension| extension == "zip");
        let stamp = fs::read_to_string(path.with_extension("stamp")).unwrap_or_default();
        if is_zip && !stamp.starts_with(&expected) {
            others.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    others.sort();
    Ok(others)
}

/// A binary that the compiler made.
#[derive(Debug, PartialEq, Eq)]
struct Binary {
    name: String,
    path: PathBuf,
}

async fn compile(places: &Places, build: Build) -> Result<Vec<Binary>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(places.checkout());
    cargo.args(["build", "--bins", "--message-format", "json-render-diagnostics"]);
    if let Build::Release(architecture) = build {
        cargo.args(["--package", "functions", "--profile", "packaged"]);
        if !architecture.is_that_of_this_machine() {
            check_target(architecture.target()).await?;
            cargo.args(["--target", architecture.target()]);
        }
    } else {
        // As the tests are built: the functions alone would have dependencies with other features, compiled once more.
        cargo.arg("--workspace");
    }
    let messages = processes::output(places, "cargo build", &mut cargo).await?;
    let mut binaries = executables(&String::from_utf8_lossy(&messages));
    // Cargo names them in the order in which they were ready.
    binaries.sort_by(|one, other| one.name.cmp(&other.name));
    if binaries.is_empty() {
        bail!("the package `functions` has no binaries");
    }
    Ok(binaries)
}

/// Reads the functions' executables out of Cargo's messages, one JSON object a line.
fn executables(messages: &str) -> Vec<Binary> {
    let executable = |line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        if !message["manifest_path"].as_str()?.ends_with("functions/Cargo.toml") {
            return None;
        }
        let path = message["executable"].as_str()?.into();
        Some(Binary { name: message["target"]["name"].as_str()?.into(), path })
    };
    messages.lines().filter_map(executable).collect()
}

/// Checks that the standard library for another processor is installed.
async fn check_target(target: &str) -> Result<()> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().await?;
    if !output.status.success() || !Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        bail!(
            "Rust can't build for {target} here: `rustup target add {target}`, install a cross linker, and name it in \
             CARGO_TARGET_{}_LINKER; or package on a machine with that processor",
            target.to_uppercase().replace('-', "_")
        );
    }
    Ok(())
}

/// Makes one zip, unless the binary has not changed since it was made.
async fn pack(places: &Places, binary: &Binary, build: Build) -> Result<Packaged> {
    let folder = places.package();
    let zip = folder.join(format!("{}.zip", binary.name));
    let stamp = folder.join(format!("{}.stamp", binary.name));
    let identity = identity(&fs::metadata(&binary.path)?, build);
    let kept = fs::read_to_string(&stamp).unwrap_or_default();
    if let Some(size) = kept.strip_prefix(&identity).and_then(|size| size.trim().parse().ok())
        && zip.exists()
    {
        return Ok(Packaged { name: binary.name.clone(), zip, size });
    }
    let stripped = folder.join(format!("{}.stripped", binary.name));
    strip(places, binary, &stripped, build).await?;
    if matches!(build, Build::Release(_)) {
        let content = fs::read(&stripped)?;
        if content.windows(FAULT_POINTS.len()).any(|window| window == FAULT_POINTS) {
            bail!("{} can be stopped by a run of faults: it was built with debug assertions", binary.name);
        }
        warn_of_newer_glibc(&binary.name, &content);
    }
    // A new file rather than new content: the emulator may hold a second name of the old one.
    let unfinished = folder.join(format!("{}.unfinished", binary.name));
    let size = compress(&stripped, &unfinished, build)?;
    fs::rename(&unfinished, &zip)?;
    fs::remove_file(&stripped)?;
    fs::write(&stamp, format!("{identity}{size}\n"))?;
    Ok(Packaged { name: binary.name.clone(), zip, size })
}

/// Tells one build of a binary from the next.
fn identity(about: &Metadata, build: Build) -> String {
    format!("{build:?} {} {}.{:09} ", about.len(), about.mtime(), about.mtime_nsec())
}

/// Copies a binary without its symbols, two fifths of it in a local build. The packaged profile strips by itself.
async fn strip(places: &Places, binary: &Binary, to: &Path, build: Build) -> Result<()> {
    if build == Build::Local {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(to).arg(&binary.path);
        if processes::output(places, "strip", &mut strip).await.is_ok() {
            return Ok(());
        }
        // Without the tool the zip is larger, and nothing else.
    }
    fs::copy(&binary.path, to).map(drop).with_context(|| format!("can't copy {}", binary.path.display()))
}

fn compress(binary: &Path, zip: &Path, build: Build) -> Result<u64> {
    let method = match build {
        // Compressing takes longer than the emulator needs for the larger file.
        Build::Local => CompressionMethod::Stored,
        Build::Release(_) => CompressionMethod::Deflated,
    };
    // The time in the zip is a constant, so that the same binary makes the same zip.
    let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o755);
    let mut writer = ZipWriter::new(File::create(zip)?);
    writer.start_file("bootstrap", options)?;
    let size = io::copy(&mut File::open(binary)?, &mut writer)?;
    writer.finish()?;
    Ok(size)
}

/// Removes what was made of binaries that are no more.
fn remove_others(folder: &Path, binaries: &[Binary]) -> Result<()> {
    let names: BTreeSet<_> = binaries.iter().map(|binary| binary.name.as_str()).collect();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_known = path.file_stem().and_then(|name| name.to_str()).is_some_and(|name| names.contains(name));
        if !is_known && path.is_file() {
            fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn warn_of_newer_glibc(name: &str, binary: &[u8]) {
    let needed = newest_glibc(binary);
    if needed > LAMBDA_GLIBC_MINOR {
        say::note(format_args!(
            "warning: {name} needs glibc 2.{needed} and Lambda has 2.{LAMBDA_GLIBC_MINOR}: it would not start there. \
             Package on a machine with an older system, for example in a container of Amazon Linux 2023"
        ));
    }
}

/// The newest version of glibc that a binary asks for: 34 where it names `GLIBC_2.34`.
fn newest_glibc(binary: &[u8]) -> u32 {
    let name = b"GLIBC_2.";
    binary
        .windows(name.len() + 2)
        .filter_map(|window| window.strip_prefix(name))
        .filter_map(|digits| {
            let length = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
            std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executables_of_the_functions_are_taken_from_the_messages() {
        let messages = r#"
{"reason":"compiler-artifact","manifest_path":"/c/functions/Cargo.toml","target":{"name":"functions"},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/c/xtask/Cargo.toml","target":{"name":"xtask"},"executable":"/t/xtask"}
{"reason":"compiler-artifact","manifest_path":"/c/functions/Cargo.toml","target":{"name":"job_runner"},"executable":"/t/job_runner"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executables(messages), [Binary { name: "job_runner".into(), path: "/t/job_runner".into() }]);
    }

    #[test]
    fn zips_of_another_build_are_told_apart() {
        let folder = std::env::temp_dir().join(format!("martlet-stamps-{}", std::process::id()));
        make_folder(&folder).unwrap();
        for (name, stamp) in [("a", "Release(Arm64) 1 2.3 4"), ("b", "Local 1 2.3 4"), ("c", "Release(X86_64) 1 2.3 4")]
        {
            fs::write(folder.join(format!("{name}.zip")), "").unwrap();
            fs::write(folder.join(format!("{name}.stamp")), stamp).unwrap();
        }
        fs::write(folder.join("d.zip"), "").unwrap();
        assert_eq!(not_built_for(&folder, Architecture::Arm64).unwrap(), ["b.zip", "c.zip", "d.zip"]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_newest_glibc_is_found() {
        assert_eq!(newest_glibc(b"..GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.17\0"), 34);
        assert_eq!(newest_glibc(b"nothing here"), 0);
    }

    #[test]
    fn a_zip_holds_an_executable_bootstrap() {
        let folder = std::env::temp_dir().join(format!("martlet-package-{}", std::process::id()));
        make_folder(&folder).unwrap();
        let (binary, zip) = (folder.join("binary"), folder.join("function.zip"));
        fs::write(&binary, b"code").unwrap();
        for build in [Build::Local, Build::Release(Architecture::Arm64)] {
            assert_eq!(compress(&binary, &zip, build).unwrap(), 4);
            let mut archive = zip::ZipArchive::new(File::open(&zip).unwrap()).unwrap();
            let file = archive.by_name("bootstrap").unwrap();
            assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
