use super::*;
use crate::proc::smaps;
use std::fmt::Write;
use std::sync::OnceLock;

static TEMPORARY: OnceLock<Vec<PathBuf>> = OnceLock::new();
const HOME: &str = "/usr/lib/jvm/jdk";

fn plan_of<'a>(lines: &[(&str, &str)], adjust: impl FnOnce(&mut Context<'a>)) -> Vec<Area> {
    let mut text = String::new();
    for (line, flags) in lines {
        writeln!(text, "{line}\nRss: 4 kB\nVmFlags: {flags}").unwrap();
    }
    let mappings = smaps::parse(text.as_bytes()).unwrap();
    let perf = PerfMemory { address: 0, length: 0, name: 0, name_capacity: 0 };
    let mut context = Context {
        known: &[],
        perf,
        stack_pointers: &[],
        java_home: Path::new(HOME),
        agent: Path::new("/opt/libhotfork.so"),
        temporary: TEMPORARY.get_or_init(|| vec![PathBuf::from("/tmp")]),
        arenas: &[],
        restored_from: None,
        restored_beside_foreign: false,
    };
    adjust(&mut context);
    plan(&mappings, &context)
}

const ANONYMOUS: &str = "10000-20000 rw-p 00000000 00:00 0 ";
const FOREIGN: &str = "90000-91000 r-xp 00000000 fe:00 7 /usr/lib/librocksdb.so";

#[test]
fn the_hosts_own_mappings_are_left_out() {
    let areas = plan_of(
        &[
            ("1000-2000 r--p 00000000 00:00 0 [vvar]", "rd"),
            ("2000-3000 r--p 00000000 00:00 0 [vvar_vclock]", "rd"),
            ("3000-5000 r-xp 00000000 00:00 0 [vdso]", "rd ex"),
            ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", "ex"),
        ],
        |_| (),
    );
    assert_eq!(areas.len(), 1);
    assert_eq!((areas[0].start, &areas[0].source), (0x3000, &Source::Anonymous));
}

#[test]
fn neighbours_that_are_alike_are_one() {
    let lines = [
        ("10000-20000 rw-p 00000000 00:00 0 ", "rd wr"),
        ("20000-30000 rw-p 00000000 00:00 0 ", "rd wr"),
        ("30000-40000 r--p 00000000 00:00 0 ", "rd"),
    ];
    let areas = plan_of(&lines, |_| ());
    assert_eq!(
        areas.iter().map(|area| (area.start, area.end)).collect::<Vec<_>>(),
        [(0x10000, 0x30000), (0x30000, 0x40000)]
    );
}

#[test]
fn files_are_mapped_again_deleted_and_temporary_ones_carried() {
    let lines = [
        ("10000-20000 r-xp 00001000 fe:00 7 /usr/lib/jvm/jdk/lib/server/libjvm.so", "rd ex"),
        ("20000-30000 r--s 00000000 fe:00 7 /usr/lib/jvm/jdk/lib/modules", "rd"),
        ("30000-31000 r--p 00000000 fe:00 7 /tmp/libnetty.so", "rd"),
        ("40000-41000 r--p 00000000 fe:00 7 /usr/lib/libold.so (deleted)", "rd"),
        ("50000-51000 rw-p 00000000 00:01 7 /memfd:code (deleted)", "rd wr"),
        ("60000-61000 r--s 00000000 fe:00 7 /usr/lib/locale/C.utf8/LC_CTYPE", "rd"),
        ("70000-71000 r--p 00000000 fe:00 7 /usr/lib/libz.so.1", "rd"),
    ];
    let sources: Vec<Source> = plan_of(&lines, |_| ()).into_iter().map(|area| area.source).collect();
    let path = |name: &str| PathBuf::from(format!("{HOME}/lib/{name}"));
    assert_eq!(sources[0], Source::PrivateFile { path: path("server/libjvm.so"), offset: 0x1000 });
    assert_eq!(sources[1], Source::SharedFile { path: path("modules"), offset: 0 });
    assert_eq!(sources[2..6], [Source::Carried, Source::Carried, Source::Carried, Source::Carried]);
    assert_eq!(sources[6], Source::PrivateFile { path: "/usr/lib/libz.so.1".into(), offset: 0 });
}

#[test]
fn a_jdk_below_the_temporary_directory_is_no_temporary_file() {
    let lines = [("10000-20000 r-xp 00000000 fe:00 7 /tmp/jdk/lib/libjvm.so", "rd ex")];
    let areas = plan_of(&lines, |context| context.java_home = Path::new("/tmp/jdk"));
    assert!(matches!(areas[0].source, Source::PrivateFile { .. }));
}

#[test]
fn wiped_memory_stays_zero() {
    for flag in ["wf", "dp"] {
        assert_eq!(plan_of(&[(ANONYMOUS, flag)], |_| ())[0].source, Source::Wiped);
    }
}

#[test]
fn without_foreign_libraries_all_memory_is_mapped_from_the_image() {
    assert!(plan_of(&[(ANONYMOUS, "rd wr")], |_| ())[0].mapped_from_image);
    assert!(!plan_of(&[(ANONYMOUS, "rd wr gd")], |_| ())[0].mapped_from_image);
}

#[test]
fn beside_foreign_libraries_only_known_memory_is_mapped_from_the_image() {
    let lines = [(ANONYMOUS, "rd wr"), ("20000-30000 rw-p 00000000 00:00 0 [heap]", "rd wr"), (FOREIGN, "rd ex")];
    let areas = plan_of(&lines, |_| ());
    assert_eq!(areas.iter().map(|area| area.mapped_from_image).collect::<Vec<_>>(), [false, true, true]);

    let known = [KnownRange { address: 0x12000, length: 0x3000, kind: 1, spare: 0 }];
    let areas = plan_of(&[(ANONYMOUS, "rd wr"), (FOREIGN, "rd ex")], |context| context.known = &known);
    let seen: Vec<_> = areas[..3].iter().map(|area| (area.start, area.end, area.mapped_from_image)).collect();
    assert_eq!(seen, [(0x10000, 0x12000, false), (0x12000, 0x15000, true), (0x15000, 0x20000, false)]);

    let pointers = [0x11000];
    let areas = plan_of(&[(ANONYMOUS, "rd wr"), (FOREIGN, "rd ex")], |context| context.stack_pointers = &pointers);
    assert!(areas[0].mapped_from_image && areas[0].stack);
}

#[test]
fn performance_memory_is_alone() {
    let areas = plan_of(&[(ANONYMOUS, "rd wr")], |context| {
        context.perf = PerfMemory { address: 0x14000, length: 0x8000, name: 0, name_capacity: 0 }
    });
    let seen: Vec<_> = areas.iter().map(|area| (area.start, area.end, area.performance)).collect();
    assert_eq!(seen, [(0x10000, 0x14000, false), (0x14000, 0x1c000, true), (0x1c000, 0x20000, false)]);
}

#[test]
fn what_an_earlier_image_holds_is_ordinary_memory() {
    let lines = [
        ("10000-20000 rw-p 00010000 fe:00 77 /images/app.image (deleted)", "rd wr"),
        ("20000-30000 rw-p 00000000 00:00 0 ", "rd wr"),
        ("40000-41000 r-xp 00050000 fe:00 77 /images/app.image (deleted)", "rd ex"),
    ];
    let areas = plan_of(&lines, |context| context.restored_from = Some((77, b"/images/app.image")));
    assert_eq!(areas.len(), 2);
    assert!(areas.iter().all(|area| area.source == Source::Anonymous && area.mapped_from_image));
    assert_eq!((areas[0].start, areas[0].end), (0x10000, 0x30000));
    assert!(areas[0].is_restored(0x10000) && areas[0].is_restored(0x1f000) && !areas[0].is_restored(0x20000));
}

#[test]
fn foreign_libraries_in_an_earlier_image_are_foreign_still() {
    let lines = [
        ("10000-20000 rw-p 00010000 fe:00 77 /images/app.image", "rd wr"),
        ("20000-30000 rw-p 00000000 00:00 0 ", "rd wr"),
        ("40000-41000 r-xp 00050000 fe:00 77 /images/app.image", "rd ex"),
    ];
    let areas = plan_of(&lines, |context| {
        context.restored_from = Some((77, b"/images/app.image"));
        context.restored_beside_foreign = true;
    });
    let seen: Vec<_> = areas.iter().map(|area| (area.start, area.end, area.mapped_from_image)).collect();
    assert_eq!(seen, [(0x10000, 0x20000, true), (0x20000, 0x30000, false), (0x40000, 0x41000, true)]);
}
