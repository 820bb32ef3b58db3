//! Asks daemons what they are and keep.

use std::time::{Duration, SystemTime};

use clap::Args;
use llb::client::{CacheRecord, Client, Engine, Prune};
use llb::command_line::{Daemon, output};

#[derive(Args)]
pub(crate) struct DialArguments {
    #[command(flatten)]
    daemon: Daemon,
    /// The bytes of a Docker engine's socket as they are, as `docker system dial-stdio` has them; without it the
    /// daemon is a buildkitd for who is at the other end
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn dial(arguments: &DialArguments) -> Result<(), String> {
    let address = arguments.daemon.address()?;
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    let result = Client::dial(address.as_ref(), arguments.raw, input, output).await;
    result.map_err(|error| error.to_string())
}

#[derive(Args)]
pub(crate) struct DaemonArguments {
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args)]
pub(crate) struct UsageArguments {
    #[command(flatten)]
    daemon: Daemon,
    /// Only records that match: `type==source.local`, `id~=abc`
    #[arg(long, short)]
    filter: Vec<String>,
    /// Prints all that is known of each record
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Args)]
pub(crate) struct PruneArguments {
    #[command(flatten)]
    daemon: Daemon,
    /// Only records that match: `type==source.local`, `id~=abc`
    #[arg(long, short)]
    filter: Vec<String>,
    /// Also internal records and the images of frontends
    #[arg(long)]
    all: bool,
    /// Keeps what was used within this time: `24h`, `90m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    keep_duration: Option<Duration>,
    /// Always keeps this much: `10GB`
    #[arg(long, alias = "keep-storage", value_name = "SIZE", value_parser = size)]
    reserved_space: Option<u64>,
    /// Keeps at most this much
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_used_space: Option<u64>,
    /// Removes until this much of the disk is free
    #[arg(long, value_name = "SIZE", value_parser = size)]
    min_free_space: Option<u64>,
    /// Prints all that is known of each record
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) async fn usage(arguments: &UsageArguments) -> Result<(), String> {
    let client = arguments.daemon.connect().await?;
    let filters: Vec<_> = arguments.filter.iter().map(String::as_str).collect();
    let records = client.disk_usage(&filters).await;
    let mut records = records.map_err(|error| error.to_string())?;
    // The largest first: that is what one looks for.
    records.sort_by(|one, other| other.size.cmp(&one.size).then(one.id.cmp(&other.id)));
    output::print(&listed(&records, arguments.verbose, "total"))
}

pub(crate) async fn prune(arguments: &PruneArguments) -> Result<(), String> {
    let client = arguments.daemon.connect().await?;
    let mut prune = Prune::new()
        .keep_used_within(arguments.keep_duration.unwrap_or_default())
        .reserved_space(arguments.reserved_space.unwrap_or_default())
        .max_used_space(arguments.max_used_space.unwrap_or_default())
        .min_free_space(arguments.min_free_space.unwrap_or_default());
    for filter in &arguments.filter {
        prune = prune.filter(filter);
    }
    if arguments.all {
        prune = prune.all();
    }
    let removed = client
        .prune(prune)
        .await
        .map_err(|error| error.to_string())?;
    output::print(&listed(&removed, arguments.verbose, "removed"))
}

pub(crate) async fn workers(arguments: &DaemonArguments) -> Result<(), String> {
    let client = arguments.daemon.connect().await?;
    let workers = client
        .list_workers()
        .await
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for worker in workers {
        text.extend([
            "id: ",
            &worker.id,
            "\nplatforms: ",
            &worker.platforms.join(", "),
            "\n",
        ]);
        if !worker.labels.is_empty() {
            text.push_str("labels:\n");
        }
        for (key, value) in &worker.labels {
            text.extend(["  ", key, ": ", value, "\n"]);
        }
        text.push('\n');
    }
    output::print(text.strip_suffix('\n').unwrap_or(&text))
}

pub(crate) async fn info(arguments: &DaemonArguments) -> Result<(), String> {
    let client = arguments.daemon.connect().await?;
    let info = client.info().await.map_err(|error| error.to_string())?;
    let capabilities = client
        .capabilities()
        .await
        .map_err(|error| error.to_string())?;
    let engine = match client.engine() {
        Engine::Docker {
            api_version,
            image_store,
        } => {
            let version = api_version.map_or_else(String::new, |(major, minor)| {
                format!(", API {major}.{minor}")
            });
            let store = if *image_store {
                "containerd"
            } else {
                "graph driver"
            };
            format!("Docker{version}, images in {store}")
        }
        _ => "BuildKit".to_owned(),
    };
    let yes = |has: bool| if has { "yes" } else { "no" };
    let mut text = format!("address: {}\nengine: {engine}\n", client.address());
    for (key, value) in [
        ("package", &info.package),
        ("version", &info.version),
        ("revision", &info.revision),
    ] {
        if !value.is_empty() {
            text.extend([key, ": ", value, "\n"]);
        }
    }
    text.extend(["merge ops: ", yes(capabilities.has_merge()), "\n"]);
    text.extend(["diff ops: ", yes(capabilities.has_diff()), "\n"]);
    let count = capabilities.llb().len();
    text.extend(["capabilities: ", &count.to_string(), "\n"]);
    output::print(&text)
}

fn listed(records: &[CacheRecord], verbose: bool, total: &str) -> String {
    let mut text = String::new();
    if verbose {
        for record in records {
            text.push_str(&described(record));
        }
    } else if !records.is_empty() {
        let title = ["ID", "RECLAIMABLE", "SIZE", "LAST USED", "DESCRIPTION"];
        let [id, reclaimable, size, used, description] = title;
        text = format!("{id:26} {reclaimable:11} {size:>10}  {used:15} {description}\n");
        for record in records {
            let shared = if record.shared { "*" } else { "" };
            let reclaimable = if record.in_use { "no" } else { "yes" };
            let description: String = record.description.chars().take(60).collect();
            let line = format!(
                "{:26} {reclaimable:11} {:>10}  {:15} {description}",
                format!("{}{shared}", record.id),
                bytes(record.size),
                ago(record.last_used),
            );
            text.extend([line.trim_end(), "\n"]);
        }
    }
    let sum = records.iter().map(|record| record.size).sum();
    let count = records.len();
    text + &format!("{total}: {} in {count} records\n", bytes(sum))
}

fn described(record: &CacheRecord) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" };
    let mut text = String::new();
    for (key, value) in [
        ("id", record.id.clone()),
        ("parents", record.parents.join(", ")),
        ("type", record.kind.clone()),
        ("description", record.description.clone()),
        ("size", bytes(record.size)),
        ("created", ago(record.created)),
        ("last used", ago(record.last_used)),
        ("used", format!("{} times", record.usage_count)),
        ("in use", yes(record.in_use).to_owned()),
        ("shared", yes(record.shared).to_owned()),
        ("mutable", yes(record.mutable).to_owned()),
    ] {
        if !value.is_empty() {
            text.extend([key, ": ", &value, "\n"]);
        }
    }
    text + "\n"
}

fn bytes(count: u64) -> String {
    let mut rest = count;
    let mut shown = format!("{count} B");
    for unit in ["kB", "MB", "GB", "TB"] {
        if rest < 1000 {
            break;
        }
        shown = format!("{}.{:02} {unit}", rest / 1000, rest % 1000 / 10);
        rest /= 1000;
    }
    shown
}

fn ago(time: Option<SystemTime>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let seconds = time.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds ago"),
        120..7200 => format!("{} minutes ago", seconds / 60),
        7200..172_800 => format!("{} hours ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Go's durations: `1h30m`, `45s`.
fn duration(text: &str) -> Result<Duration, String> {
    let fail = || format!("{text:?} is no time, expected something like `24h` or `1h30m`");
    let mut sum = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| fail())?;
        let unit = match after.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(fail()),
        };
        sum = number
            .checked_mul(unit)
            .and_then(|seconds| sum.checked_add(seconds))
            .ok_or_else(fail)?;
        rest = &after[1..];
    }
    if text.is_empty() {
        return Err(fail());
    }
    Ok(Duration::from_secs(sum))
}

/// A size in decimal or binary units: `500MB`, `10GiB`, `1048576`.
fn size(text: &str) -> Result<u64, String> {
    let fail = || format!("{text:?} is no size, expected something like `10GB` or `512MiB`");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| fail())?;
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1_u64 << 40,
        _ => return Err(fail()),
    };
    number.checked_mul(unit).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(size("10GB"), Ok(10_000_000_000));
        assert_eq!(size("1 MiB"), Ok(1 << 20));
        for text in ["", "h", "5", "5x", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "GB", "1XB", "99999999999TB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(
            [999, 1000, 5_242_880].map(bytes),
            ["999 B", "1.00 kB", "5.24 MB"]
        );
    }
}
