//! `hotfork check`: every question, every answer, a remedy for each "no".

use crate::cli::CheckArgs;
use crate::exit::{ExitCode, Failure};
use crate::host::probes::{self, Fact, Verdict};
use crate::image::read::Image;
use crate::restore::{self, fit};
use std::path::Path;

pub fn run(args: &CheckArgs) -> Result<i32, Failure> {
    let mut facts = probes::all();
    if let Some(file) = &args.file {
        let more = about(file, args.trust_owner).into_iter();
        // What was asked of the host already is not told twice.
        let new: Vec<Fact> = more.filter(|fact| !facts.iter().any(|known| known.name == fact.name)).collect();
        facts.extend(new);
    }
    let fits = facts.iter().all(|fact| fact.verdict != Verdict::No);
    if args.json {
        let image = args.file.as_ref().map(|file| file.display().to_string());
        println!("{}", serde_json::json!({ "ok": fits, "image": image, "facts": facts }));
    } else {
        print!("{}", table(&facts));
    }
    Ok(if fits { 0 } else { ExitCode::No as i32 })
}

fn about(path: &Path, trusted: Option<u32>) -> Vec<Fact> {
    let image = match Image::open(path, trusted) {
        Ok(image) => image,
        Err(error) => return vec![Fact::new("image", Verdict::No, error.problem.to_string())],
    };
    let header = format!("{}: header, tables and manifest are as written", path.display());
    let mut facts = vec![Fact::new("image", Verdict::Yes, header)];
    for (name, answer) in restore::findings(&image) {
        facts.push(match answer {
            Ok(()) => Fact::new(&name, Verdict::Yes, "fits"),
            Err(refusal) => Fact::new(&name, Verdict::No, refusal.failure.message),
        });
    }
    if let Some(warning) = fit::memory_warning(&image) {
        facts.push(Fact::new("memory limit", Verdict::Note, warning));
    }
    if fit::must_copy_code(&image).is_ok_and(|copied| copied) {
        let detail =
            "the image lies on a noexec mount: each instance has a copy of its code; move the image to share it";
        facts.push(Fact::new("noexec", Verdict::Note, detail));
    }
    facts
}

fn table(facts: &[Fact]) -> String {
    let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
    let row = |fact: &Fact| {
        let verdict = match fact.verdict {
            Verdict::Yes => "yes",
            Verdict::No => "NO",
            Verdict::Note => "note",
        };
        format!("{:<width$}  {verdict:<4}  {}\n", fact.name, fact.detail)
    };
    facts.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let facts = [Fact::new("a", Verdict::Yes, "fits"), Fact::new("long name", Verdict::No, "bad; mend it")];
        assert_eq!(table(&facts), "a          yes   fits\nlong name  NO    bad; mend it\n");
    }
}
