use super::*;
use clap::CommandFactory;

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn durations_need_a_unit() {
    assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
    for wrong in ["", "s", "10", "1h", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615m"] {
        assert!(parse_duration(wrong).unwrap_err().contains("10s"), "{wrong}");
    }
}

#[test]
fn a_bad_nap_is_one_line() {
    let read = |nap: &str| Cli::read(["hotfork", "restore", "f", "--nap", nap].map(OsString::from).to_vec());
    for wrong in ["soon", "10", "-1s", "", "1h", "--quiet"] {
        let line = told(&read(wrong).unwrap_err());
        assert!(line.contains("--nap") && line.contains("10s") && !line.contains('\n'), "{wrong}: {line}");
    }
    assert!(told(&read("527041m").unwrap_err()).ends_with("a nap lasts a year at most: 527040m"));
    for (right, seconds) in [("0s", 0), ("2m", 120), ("527040m", 366 * 24 * 3600)] {
        let Verb::Restore(args) = read(right).unwrap().verb else { panic!("restore") };
        assert_eq!(args.nap, Duration::from_secs(seconds));
    }
}

#[test]
fn when_is_read_and_written_alike() {
    assert_eq!(parse_when("manual"), Ok(When::Manual));
    assert_eq!(parse_when("ready"), Ok(When::Ready));
    for text in ["manual", "ready", "warm", "warm+ready", "after=250ms"] {
        assert_eq!(parse_when(text).unwrap().option(), text);
    }
    assert_eq!(parse_when("after=10s"), Ok(When::After(Duration::from_secs(10))));
    assert!(parse_when("later").unwrap_err().contains("after=DURATION"));
    assert!(parse_when("after=").is_err());
}

#[test]
fn ports_and_variables() {
    assert_eq!(parse_ports("8080=0"), Ok((8080, 0)));
    for wrong in ["8080", "0=1", "8080=65536", "a=b", "=1"] {
        assert!(parse_ports(wrong).unwrap_err().contains("OLD=NEW"), "{wrong}");
    }
    assert_eq!(parse_variable("A=b=c"), Ok(("A".into(), "b=c".into())));
    assert!(parse_variable("=x").is_err());
    assert!(parse_variable("x").is_err());
}

#[test]
fn a_mode_that_others_may_write_is_refused() {
    assert_eq!(parse_mode("640"), Ok(0o640));
    assert!(parse_mode("666").unwrap_err().contains("never restored"));
    assert!(parse_mode("9").is_err());
    assert!(parse_mode("200").is_err());
}

#[test]
fn run_takes_the_command_behind_two_dashes() {
    let cli = Cli::try_parse_from(["hotfork", "run", "--image", "i", "--", "java", "-jar", "a.jar"]).unwrap();
    let Verb::Run(args) = cli.verb else { panic!("run") };
    assert_eq!(args.command, ["java", "-jar", "a.jar"]);
    assert!(Cli::try_parse_from(["hotfork", "run", "--image", "i"]).is_err());
}
