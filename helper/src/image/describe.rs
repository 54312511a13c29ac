//! An image in words, for `inspect`.

use super::manifest::{Description, Descriptors, Kind};
use super::read::Image;
use super::write::size_on_disk;
use hotfork_abi::PAGE;
use serde_json::{Value, json};
use std::fmt::Write;

pub fn json(image: &Image) -> Value {
    let (manifest, header) = (&image.manifest, &image.header);
    json!({
        "image": image.path,
        "format": header.format_version,
        "size": size_on_disk(&image.metadata),
        "file_length": header.file_length,
        "digest": digest(image),
        "hotfork_version": manifest.hotfork_version,
        "jdk": manifest.jdk,
        "command": manifest.identity,
        "cwd": manifest.cwd,
        "taken": manifest.taken,
        "clock_goes_on": manifest.entry.clock_goes_on,
        "cpu": manifest.cpu,
        "threads": manifest.threads,
        "mappings": manifest.mapping_count,
        "operations": header.operation_count,
        "total_mapped": manifest.total_mapped,
        "private_writable": manifest.private_writable,
        "max_heap": manifest.max_heap,
        "page_size": PAGE,
        "pages": manifest.pages,
        "trial": manifest.trial,
        "mapped_files": manifest.files,
        "descriptors": manifest.descriptors,
    })
}

pub fn text(image: &Image) -> String {
    let (manifest, header) = (&image.manifest, &image.header);
    let (jdk, taken) = (&manifest.jdk, &manifest.taken);
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<12} {value}");
    };
    let (on_disk, length) = (size(size_on_disk(&image.metadata)), size(header.file_length));
    let path = image.path.display();
    row("image", format!("{path}, {on_disk} on the disk, {length} with its holes, format {}", header.format_version));
    row("digest", digest(image));
    row(
        "taken",
        format!(
            "{} on {} (Linux {}), pid {}, uid {}, stood still {:.1} ms, by hotfork {}",
            utc(taken.clocks.realtime / 1_000_000_000),
            taken.host,
            taken.kernel,
            taken.pid,
            taken.uid,
            taken.stopped as f64 / 1e6,
            manifest.hotfork_version
        ),
    );
    row("occasion", taken.occasion.clone());
    row("rest", taken.rest.clone());
    if let Some(evidence) = &taken.evidence {
        row("evidence", evidence.line());
    }
    match &manifest.trial {
        Some(Ok(trial)) => row("trial", trial.line()),
        Some(Err(why)) => row("trial", format!("failed: {why}")),
        None => {}
    }
    row("jdk", format!("{} {} ({}) in {}", jdk.vm_name, jdk.vm_version, jdk.vm_vendor, jdk.home));
    row("collector", format!("{}, heap up to {}", jdk.collector, size(manifest.max_heap)));
    let clock =
        if manifest.entry.clock_goes_on { "goes on from the capture, plus --nap" } else { "shows the host's time" };
    row("nanoTime", clock.into());
    row("command", format!("{} {}", manifest.identity.java.display(), manifest.identity.arguments.join(" ")));
    row("directory", manifest.cwd.display().to_string());
    row("cpu", format!("{} ({})", manifest.cpu.model, manifest.cpu.vendor));
    let names: Vec<&str> = manifest.threads.iter().map(|thread| thread.name.as_str()).collect();
    row("threads", format!("{}: {}", names.len(), names.join(", ")));
    row(
        "mappings",
        format!(
            "{}, {} files, {} operations; {} of address space, {} private and writable",
            manifest.mapping_count,
            manifest.files.len(),
            header.operation_count,
            size(manifest.total_mapped),
            size(manifest.private_writable)
        ),
    );
    for pages in &manifest.pages {
        row(
            "pages",
            format!(
                "{:<10} {:>9} in the image; left out: {} zero, {} repeated, {} dead",
                pages.kind,
                size(pages.in_image * PAGE),
                size(pages.zero * PAGE),
                size(pages.repeated * PAGE),
                size(pages.dead * PAGE)
            ),
        );
    }
    for line in descriptors(&manifest.descriptors) {
        row("descriptor", line);
    }
    out
}

fn digest(image: &Image) -> String {
    image.header.digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn size(bytes: u64) -> String {
    match bytes {
        0..=0x9f_ffff => format!("{} KB", bytes >> 10),
        0xa0_0000..=0x2_7fff_ffff => format!("{} MB", bytes >> 20),
        _ => format!("{:.1} GB", bytes as f64 / (1u64 << 30) as f64),
    }
}

/// One line for each description: its numbers, and what it is.
fn descriptors(table: &Descriptors) -> Vec<String> {
    let line = |(index, description): (usize, &Description)| {
        let of_this = table.numbers.iter().filter(|number| number.description as usize == index);
        let numbers: Vec<String> = of_this.map(|number| number.fd.to_string()).collect();
        format!("{}: {}", numbers.join(", "), what(&description.kind))
    };
    table.descriptions.iter().enumerate().map(line).collect()
}

fn what(kind: &Kind) -> String {
    match kind {
        Kind::Standard { number } => format!("the restorer's {number}"),
        Kind::Regular { path, .. } => format!("file {}", path.display()),
        Kind::Carried { path, .. } => format!("file {}, inside the image", path.display()),
        Kind::Directory { path, .. } => format!("directory {}", path.display()),
        Kind::Device { path } => format!("device {}", path.display()),
        Kind::PipeEnd { pipe, write } => format!("{} end of pipe {pipe}", if *write { "write" } else { "read" }),
        Kind::EventFd { count, .. } => format!("eventfd, count {count}"),
        Kind::TimerFd { .. } => "timerfd".into(),
        Kind::Epoll { entries } => format!("epoll set of {}", entries.len()),
        Kind::TcpListener { address, .. } => format!("TCP listener on {address}"),
        Kind::UnixListener { address, .. } => {
            format!("Unix listener on {}", String::from_utf8_lossy(address).replace('\0', "@"))
        }
        Kind::DeadSocket { .. } => "connected socket, will be found closed".into(),
        Kind::DeadPair { .. } => "Unix socket pair, will be found closed".into(),
        Kind::FreshSocket { .. } => "socket, not connected".into(),
        Kind::AttachListener => "attach listener, will start anew".into(),
        Kind::PerfData => "hsperfdata file".into(),
    }
}

/// ISO 8601 from seconds since 1970 (days to civil date by the proleptic Gregorian calendar).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let (mut year, mut day) = (1970, days);
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", day + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(utc(1_767_225_600), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn sizes() {
        assert_eq!(size(4096), "4 KB");
        assert_eq!(size(110 << 20), "110 MB");
        assert_eq!(size(16 << 30), "16.0 GB");
    }
}
