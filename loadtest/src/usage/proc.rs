//! What Linux tells of processes.

use std::collections::HashSet;
use std::path::Path;

/// A process as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub parent: u32,
    /// Processor time of all its threads, in clock ticks.
    pub cpu_ticks: u64,
}

pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold spaces and parentheses itself.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, cpu_ticks: number(11)? + number(12)? })
}

/// Resident memory in kilobytes, shared pages included.
pub fn resident_kb(pid: u32) -> Option<u64> {
    kilobytes(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// Resident memory in kilobytes, each shared page divided among those who share it. The owner and root may ask.
pub fn proportional_kb(pid: u32) -> Option<u64> {
    kilobytes(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The process's own words for itself: its command line, or what it has put there.
pub fn title(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

pub fn children(parent: u32) -> Vec<u32> {
    all().filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent)).collect()
}

/// Who listens on this port of this machine: of several that share the socket the one that is no other's child.
pub fn listener(port: u16) -> Option<u32> {
    let mut sockets = HashSet::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        sockets.extend(listening(&std::fs::read_to_string(file).unwrap_or_default(), port));
    }
    let holders: Vec<u32> = all().filter(|pid| holds(*pid, &sockets)).collect();
    holders.iter().copied().find(|pid| stat(*pid).is_none_or(|stat| !holders.contains(&stat.parent)))
}

/// Inodes of the sockets that listen on `port`, in a table of `/proc/net`.
fn listening(table: &str, port: u16) -> Vec<String> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = fields.get(3)? == &"0A" && u16::from_str_radix(local_port, 16).ok()? == port;
        listens.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn holds(pid: u32, sockets: &HashSet<String>) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| {
        let target = std::fs::read_link(file.path()).unwrap_or_default();
        sockets.contains(target.to_string_lossy().as_ref())
    })
}

fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_looks_like_fields_is_read() {
        let line = "17 (a) b (c) S 4 17 17 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 9 0 100 1 2";
        assert_eq!(parse_stat(line), Some(Stat { parent: 4, cpu_ticks: 300 }));
        assert_eq!(parse_stat("17 (a) S 4"), None);
        assert_eq!(kilobytes("Name: x\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048));
    }

    #[test]
    fn sockets_that_listen_are_told_from_those_that_are_connected() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 4242 1 x\n\
            1: 0100007F:1538 0100007F:9999 01 00000000:00000000 00:00000000 00000000   107        0 4343 1 x\n\
            2: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 4444 1 x\n";
        assert_eq!(listening(table, 0x1538), ["socket:[4242]"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_by_the_port_it_listens_on() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener(socket.local_addr().unwrap().port()), Some(std::process::id()));
        assert!(stat(std::process::id()).is_some() && resident_kb(std::process::id()).is_some());
    }
}
