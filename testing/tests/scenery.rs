//! The scenery itself: networks reach where they should, disks come and go.

use std::fs;
use std::process::Command;
use std::time::Duration;

use testing::{Child, Disk, FakeClock, Mount, Net, require, run, wait_until};

#[test]
fn a_neighbor_and_a_stranger_reach_the_home_by_different_ways() {
    let Some(net) = Net::new() else { return };
    if require("curl").is_none() || require("python3").is_none() {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let mut server = Command::new("ip");
    server
        .args([
            "netns",
            "exec",
            &net.home(),
            "python3",
            "-m",
            "http.server",
            "8080",
        ])
        .current_dir(folder.path());
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let _server = Child::start(server.stderr(log).stdout(std::process::Stdio::null()));
    let fetch = |space: &str, from: &[&str]| {
        Command::new("ip")
            .args(["netns", "exec", space, "curl", "-s", "--max-time", "3"])
            .args(from)
            .arg(format!("http://{}:8080/", Net::ADDRESS))
            .output()
            .is_ok_and(|output| output.status.success())
    };
    wait_until(
        "the neighbor gets an answer",
        Duration::from_secs(10),
        || fetch(&net.lan(), &["--interface", Net::NEIGHBOR]),
    );
    assert!(fetch(&net.away(), &[]));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(
        log.contains(Net::NEIGHBOR) && log.contains("192.0.2.2"),
        "{log}"
    );
}

#[test]
fn a_disk_can_be_pulled_and_put_back() {
    let Some(mut disk) = Mount::device(Disk::Ext4, 32) else {
        return;
    };
    let file = disk.path().join("file");
    fs::write(&file, "x").unwrap();
    disk.pull();
    assert!(!file.exists());
    disk.plug();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    disk.remount("ro");
    assert!(fs::write(&file, "y").is_err());
}

#[test]
fn a_full_memory_disk_is_full() {
    let Some(disk) = Mount::memory(4) else { return };
    assert!(fs::write(disk.path().join("a"), vec![0; 3 << 20]).is_ok());
    assert!(fs::write(disk.path().join("b"), vec![0; 3 << 20]).is_err());
}

#[test]
fn a_fake_clock_shows_another_day() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(clock) = FakeClock::new(folder.path()) else {
        return;
    };
    let year = || {
        let mut command = Command::new("date");
        clock.dress(command.arg("+%Y"));
        run(&mut command).trim().parse::<i32>().unwrap()
    };
    let now = year();
    clock.set_offset_s(2 * 366 * 86_400);
    assert!(year() >= now + 2);
}
