//! /proc/PID/net/tcp and tcp6: the TCP sockets of a network namespace.

/// `TCP_LISTEN` of include/net/tcp_states.h, as the file prints it.
const LISTEN: &str = "0A";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    pub inode: u64,
}

/// Those that listen. The lines are `sl local_address rem_address st queues timer retransmits uid timeout inode ...`.
pub fn listeners(text: &[u8]) -> Result<Vec<Listener>, String> {
    let lines = text.split(|&byte| byte == b'\n').skip(1).filter(|line| !line.is_empty());
    lines
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .filter(|line| line.split_ascii_whitespace().nth(3) == Some(LISTEN))
        .map(|line| listener(line).ok_or_else(|| format!("line {line:?}")))
        .collect()
}

fn listener(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let port = u16::from_str_radix(fields.nth(1)?.rsplit_once(':')?.1, 16).ok()?;
    Some(Listener { port, inode: fields.nth(7)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0                      \n\
   1: 0100007F:1F90 0100007F:A3D2 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1                     \n";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 99 1 0000000000000000 100 0 0 10 0\n";

    #[test]
    fn connections_do_not_listen() {
        assert_eq!(listeners(TCP.as_bytes()).unwrap(), [Listener { port: 8080, inode: 4711 }]);
        assert_eq!(listeners(TCP6.as_bytes()).unwrap(), [Listener { port: 80, inode: 99 }]);
        assert_eq!(listeners(b"").unwrap(), []);
    }

    #[test]
    fn a_line_that_is_cut_is_an_error() {
        assert!(listeners(b"head\n 0: 0100007F:1F90 00000000:0000 0A 0:0\n").unwrap_err().contains("1F90"));
    }
}
