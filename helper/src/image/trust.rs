//! Whose image may be restored: a process that restores it runs its code. Decided by fstat on the
//! open descriptor, so that nothing can be exchanged between the look and the use.

use super::error::Problem;

/// Owner root or ourselves (or the uid the user named), and writable by nobody else.
pub fn check(owner: u32, mode: u32, own: u32, trusted: Option<u32>) -> Result<(), Problem> {
    if owner != 0 && owner != own && Some(owner) != trusted {
        return Err(Problem::Owner { owner, own });
    }
    if mode & 0o022 != 0 {
        return Err(Problem::Mode { mode: mode & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_oneself_are_trusted() {
        assert!(check(0, 0o100600, 1000, None).is_ok());
        assert!(check(1000, 0o100644, 1000, None).is_ok());
    }

    #[test]
    fn a_stranger_is_trusted_only_by_name() {
        let problem = check(1001, 0o100600, 1000, None).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "belongs to uid 1001, which is neither root nor uid 1000; add --trust-owner 1001 if you trust that user"
        );
        assert!(check(1001, 0o100600, 1000, Some(1001)).is_ok());
        assert!(check(1001, 0o100600, 1000, Some(1002)).is_err());
    }

    #[test]
    fn what_others_may_write_is_not_trusted() {
        for mode in [0o100620, 0o100602, 0o100666] {
            assert!(matches!(check(0, mode, 0, None), Err(Problem::Mode { .. })), "{mode:o}");
        }
        let problem = check(0, 0o100666, 0, None).unwrap_err();
        assert!(problem.to_string().starts_with("may be written by group or others (mode 0666); run chmod go-w"));
    }
}
