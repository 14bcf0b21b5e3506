//! When and on what a table was measured: figures without that are nobody's.

/// `table` with `line` under its heading.
///
/// # Panics
/// If it has no heading.
pub fn sign(table: &str, line: &str) -> String {
    let (heading, rest) = table.split_once("\n\n").expect("a table begins with its heading");
    assert!(heading.starts_with("# ") && !heading.contains('\n'), "this is no heading: {heading}");
    format!("{heading}\n\n{line}\n\n{rest}")
}

/// `Measured 2026-11-27 on AMD EPYC, 2 threads.`: today, by the system's clock (UTC), on this machine.
pub fn measured() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    told(&chrono::Utc::now().date_naive().to_string(), processor(&cpuinfo), threads)
}

fn told(date: &str, processor: Option<&str>, threads: usize) -> String {
    let unknown = format!("a processor without a name ({})", std::env::consts::ARCH);
    let plural = if threads == 1 { "" } else { "s" };
    format!("Measured {date} on {}, {threads} thread{plural}.", processor.unwrap_or(&unknown))
}

/// What Linux calls the first processor; `None` where `/proc/cpuinfo` has no name for it, as on many that
/// are not x86, or is not there.
fn processor(cpuinfo: &str) -> Option<&str> {
    let values = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut names = values.filter(|(key, _)| key.trim() == "model name").map(|(_, name)| name.trim());
    names.find(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_model_that_linux_names() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\nmodel name\t: another\n";
        assert_eq!(processor(cpuinfo), Some("AMD EPYC"));
        assert_eq!(processor("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
        assert_eq!(processor(""), None);
    }

    #[test]
    fn the_line_stands_under_the_heading() {
        let signed = sign("# Raft: figures\n\nWritten by …\n\n| 1 |\n", "Measured today.");
        assert_eq!(signed, "# Raft: figures\n\nMeasured today.\n\nWritten by …\n\n| 1 |\n");
    }

    #[test]
    fn a_line_says_when_and_on_what() {
        assert_eq!(told("2026-11-27", Some("AMD EPYC"), 2), "Measured 2026-11-27 on AMD EPYC, 2 threads.");
        let unknown = told("2026-11-27", None, 1);
        assert!(unknown.contains(std::env::consts::ARCH) && unknown.ends_with(", 1 thread."), "{unknown}");
        let today = measured();
        let date = today.strip_prefix("Measured ").and_then(|rest| rest.split(' ').next());
        assert!(date.is_some_and(|date| date.len() == 10 && date > "2026-01-01"), "{today}");
    }
}
