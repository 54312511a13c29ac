//! Restores a tiny image through the real verb.
#![deny(unsafe_code)]

mod tiny;

use tiny::{DATA_TEXT, GOOD, Scratch, Tiny, hotfork, restore, stderr};

#[test]
fn becomes_what_the_image_says() {
    let scratch = Scratch::new("becomes");
    let image = scratch.image(&Tiny::new().bytes());
    let output = hotfork()
        .args(["restore", "--env", "B=2", "--env", "A=3"])
        .arg(&image)
        .env_clear()
        .envs([("A", "1"), ("C", "")])
        .output()
        .unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(GOOD));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("C=\0B=2\0A=3\0{DATA_TEXT}"));
}

#[test]
fn many_at_a_time() {
    let scratch = Scratch::new("many");
    let image = scratch.image(&Tiny::new().bytes());
    let children: Vec<_> = (0..20)
        .map(|_| hotfork().arg("restore").arg(&image).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(GOOD));
    }
}

#[test]
fn verifies_pages_when_asked() {
    let scratch = Scratch::new("verify");
    let image = scratch.image(&Tiny::new().bytes());
    let output = hotfork().args(["restore", "--verify"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    tiny::flip(&image, hotfork_helper::image::format::PAGES_START + 5000);
    assert_eq!(restore(&image).status.code(), Some(GOOD), "only --verify reads all pages");
    let output = hotfork().args(["restore", "--verify"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(110));
    assert!(stderr(&output).contains("1 of 1 chunks of its pages are not as written"), "{}", stderr(&output));
}
