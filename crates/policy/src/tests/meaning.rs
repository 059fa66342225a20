//! What each rule allows, as a table: a grant, what it lets through, and what is next to it and stays shut.
//!
//! Long because it is one table for each sentence of docs/policy.md.

use super::{authority, below, check, policy};
use crate::{
    AbsolutePath, Access, AccessKind, AccessText, Authority, Decision, Denied, Layer, Limits, Mount, Place,
    SecretUse, Variable,
};

#[test]
fn nothing_is_allowed_without_a_rule() {
    let authority = authority(&[]);
    check(
        &authority,
        &[
            "no read /a",
            "no list /",
            "no inspect /",
            "no GET https://example.com/",
            "no GET https://93.184.215.14/",
            "no dial 93.184.215.14 for GET https://example.com/",
            "no lookup example.com",
            "no open tcp",
            "no open udp",
            "no connect tcp 93.184.215.14:443",
            "no bind udp 0.0.0.0:0",
            "no env HOME",
            "no secret token https://example.com/",
        ],
    );
    assert_eq!(authority.locate(&AbsolutePath::root()), Place::Outside);
    assert!(!authority.has_network());
    assert!(authority.mounts().is_empty());
    assert!(authority.authorize(&Access::Environment).is_err());
    assert!(
        Authority::nothing(Limits::DEFAULT)
            .authorize(&Access::Environment)
            .is_err()
    );
}

#[test]
fn a_path_is_itself_and_everything_below() {
    for pattern in ["/srv/data", "/srv/data/**", "/srv//./data/"] {
        check(
            &authority(&[&format!("fs allow read {pattern}")]),
            &[
                "yes read /srv/data",
                "yes read /srv/data/a/b",
                "yes list /srv/data/a",
                "yes inspect /srv/data/a",
                "no write /srv/data/a",
                "no create /srv/data/a",
                "no remove /srv/data/a",
                "no rename /srv/data/a",
                "no read /srv",
                "no read /srv/database",
                "no read /srv/dat",
                // Folders on the way exist, and that is all.
                "yes list /srv",
                "yes inspect /srv",
                "yes list /",
                "no list /other",
                "no write /srv",
            ],
        );
    }
}

#[test]
fn write_implies_read() {
    for access in ["write", "read,write", "write,read"] {
        check(
            &authority(&[&format!("fs allow {access} /w")]),
            &[
                "yes read /w/a",
                "yes write /w/a",
                "yes create /w/a",
                "yes remove /w/a",
                "yes rename /w/a",
                "no write /v",
            ],
        );
    }
}

#[test]
fn a_star_stays_within_its_segment() {
    check(
        &authority(&["fs allow read /var/log/*.log", "fs allow write /home/*/tmp/**"]),
        &[
            "yes read /var/log/a.log",
            "yes read /var/log/.log",
            "no read /var/log/a.txt",
            "no read /var/log/a.log/b",
            "no read /var/log/sub/a.log",
            "no list /var/log",
            "yes inspect /var/log",
            "no inspect /var/log/a.txt",
            "no rename /var/log/a.log",
            "yes write /home/me/tmp",
            "yes write /home/me/tmp/a/b",
            "yes rename /home/me/tmp/a/b",
            "no write /home/me/doc",
            "no read /home/me",
            "yes inspect /home/me",
            "yes inspect /home",
            "no list /home",
        ],
    );
}

#[test]
fn deny_wins_over_allow() {
    let rules = [
        "fs allow write /srv",
        "fs deny /srv/private",
        "fs deny write /srv/fixed",
        "fs deny read /srv/drop",
        "fs deny /srv/*/key",
    ];
    check(
        &authority(&rules),
        &[
            "yes write /srv/a",
            "no read /srv/private",
            "no read /srv/private/a",
            "no inspect /srv/private/a",
            "no write /srv/private/a",
            "yes read /srv/privately",
            "yes read /srv/fixed/a",
            "no write /srv/fixed/a",
            "no read /srv/drop/a",
            "yes write /srv/drop/a",
            "no read /srv/x/key",
            "yes read /srv/x/y/key",
            "yes read /srv/x",
        ],
    );
    check(
        &authority(&["fs allow read /srv", "fs deny /**"]),
        &["no read /srv/a"],
    );
}

#[test]
fn what_is_moved_takes_everything_below_with_it() {
    let rules = [
        "fs allow write /srv",
        "fs deny /srv/a/b/private",
        "fs deny write /srv/c/d",
        "fs deny /srv/e/*.key",
    ];
    check(
        &authority(&rules),
        &[
            "no rename /srv",
            "no rename /srv/a",
            "no rename /srv/a/b",
            "no rename /srv/a/b/private",
            "no rename /srv/a/b/private/x",
            "yes rename /srv/a/b/public",
            "yes rename /srv/ab",
            "no rename /srv/c",
            "no rename /srv/c/d/e",
            "yes rename /srv/c/e",
            "no rename /srv/e",
            "no rename /srv/e/a.key",
            "yes rename /srv/e/a.txt",
        ],
    );
    check(&authority(&["fs allow read /srv"]), &["no rename /srv/a"]);
}

#[test]
fn the_guest_sees_a_grant_where_the_rule_says() {
    let authority = authority(&[
        "fs allow read /etc/app/settings.yaml guest=/settings.yaml",
        "fs allow write /srv/data guest=/data submounts",
        "fs allow read /srv/other guest=/data/other",
        "fs deny /srv/data/private",
    ]);
    check(
        &authority,
        &[
            "yes read /settings.yaml",
            "no write /settings.yaml",
            "no read /etc/app/settings.yaml",
            "yes write /data/a",
            "no read /data/private",
            "no write /data/other/a",
            "yes read /data/other/a",
            "yes list /",
            "no read /srv/data/a",
        ],
    );
    let mount = |guest: &str, host: &str, enters_submounts, is_writable| Mount {
        guest: guest.parse().unwrap(),
        host: host.parse().unwrap(),
        enters_submounts,
        is_writable,
    };
    let data = mount("/data", "/srv/data", true, true);
    let other = mount("/data/other", "/srv/other", false, false);
    let settings = mount("/settings.yaml", "/etc/app/settings.yaml", false, false);
    assert_eq!(authority.mounts(), [data.clone(), other.clone(), settings]);
    let locate = |path: &str| authority.locate(&path.parse().unwrap());
    let inside = |mount, below: &str| Place::Inside {
        mount,
        below: below.to_owned(),
    };
    assert_eq!(locate("/data"), inside(&data, ""));
    assert_eq!(locate("/data/a/b"), inside(&data, "a/b"));
    assert_eq!(locate("/data/other/x"), inside(&other, "x"));
    assert_eq!(locate("/data/others"), inside(&data, "others"));
    assert_eq!(locate("/"), Place::Above);
    assert_eq!(locate("/database"), Place::Outside);
}

#[test]
fn the_way_to_a_grant_is_seen_by_the_rule_that_grants_it() {
    let authority = authority(&[
        "fs allow read /srv/a guest=/a/x",
        "fs allow read /srv/z guest=/z/deep/x",
        "fs allow read /srv/zz guest=/zz",
    ]);
    check(
        &authority,
        &[
            "yes list /z",
            "yes inspect /z/deep",
            "no read /z/deep",
            "no list /y",
        ],
    );
    let path: AbsolutePath = "/z".parse().unwrap();
    let access = Access::File {
        path: &path,
        operation: crate::FileOperation::List,
    };
    let permit = authority.authorize(&access).unwrap();
    assert!(permit.rule().to_string().contains("/srv/z\""), "{permit:?}");
}

#[test]
fn a_place_that_no_path_of_the_machine_can_name_is_denied() {
    let long = "a".repeat(4000);
    let authority = authority(&[&format!("fs allow read /{long} guest=/g")]);
    let below = "b".repeat(94);
    check(
        &authority,
        &[&format!("yes read /g/{below}"), &format!("no read /g/{below}b")],
    );
}

#[test]
fn the_root_of_the_guest_can_be_a_grant() {
    let authority = authority(&["fs allow read /srv/data guest=/"]);
    check(&authority, &["yes read /a/b", "yes list /", "no write /a"]);
}

#[test]
fn a_mount_is_writable_when_anything_below_it_is() {
    let authority = authority(&[
        "fs allow read /a",
        "fs allow write /a/b/*.txt",
        "fs allow read /c",
        "fs allow write /d/*/e",
        "fs allow read /d/x/e guest=/e",
        "fs allow read /d/x/f guest=/f",
    ]);
    let writable: Vec<_> = authority
        .mounts()
        .iter()
        .map(|mount| (mount.guest.as_str(), mount.is_writable))
        .collect();
    assert_eq!(
        writable,
        [
            ("/a", true),
            ("/a/b", true),
            ("/c", false),
            ("/d", true),
            ("/e", true),
            ("/f", false)
        ]
    );
}

#[test]
fn the_ceiling_narrows_mounts() {
    let mounts = |granted: &[&str], ceiling: &[&str]| {
        let authority = below(granted, ceiling);
        let [mount] = authority.mounts() else {
            panic!("not one mount");
        };
        (mount.enters_submounts, mount.is_writable)
    };
    let granted = ["fs allow write /srv/data submounts"];
    assert_eq!(mounts(&granted, &["fs allow write /srv submounts"]), (true, true));
    assert_eq!(mounts(&granted, &["fs allow write /srv"]), (false, true));
    assert_eq!(mounts(&granted, &["fs allow read /srv submounts"]), (true, false));
    assert_eq!(mounts(&granted, &[]), (false, false));
}

#[test]
fn a_bare_host_is_https_on_its_port_and_nothing_else() {
    for host in [
        "api.example.com",
        "API.Example.COM",
        "api.example.com.",
        "https://api.example.com",
        "api.example.com:443",
    ] {
        check(
            &authority(&[&format!("net allow host={host}")]),
            &[
                "yes GET https://api.example.com/",
                "yes DELETE https://api.example.com/a?b=c",
                "yes GET https://API.example.com.:443/a",
                "no GET http://api.example.com/",
                "no GET https://api.example.com:8443/",
                "no GET https://example.com/",
                "no GET https://x.api.example.com/",
                "no GET https://api.example.com.evil.org/",
                "yes lookup api.example.com",
                "yes lookup API.example.com.",
                "no lookup example.com",
                "no connect tcp 93.184.215.14:443",
                "no open tcp",
            ],
        );
    }
}

#[test]
fn a_url_stands_for_scheme_host_port_and_path() {
    check(
        &authority(&[
            "net allow host=https://api.example.com/v1",
            "net allow host=http://plain.example.com:8080/a/*/c",
        ]),
        &[
            "yes GET https://api.example.com/v1",
            "yes GET https://api.example.com/v1/",
            "yes GET https://api.example.com/v1/a/b",
            "no GET https://api.example.com/v10",
            "no GET https://api.example.com/",
            "no GET http://api.example.com/v1",
            "yes GET http://plain.example.com:8080/a/b/c",
            "no GET http://plain.example.com:8080/a/b/c/d",
            "no GET http://plain.example.com/a/b/c",
            "no GET https://plain.example.com:8080/a/b/c",
        ],
    );
}

#[test]
fn restrictions_of_a_request_rule_hold_together() {
    check(
        &authority(&[
            "net allow host=api.example.com schemes=http,https ports=8080,9000-9001 methods=get,HEAD paths=/v1/**,/health",
        ]),
        &[
            "yes GET http://api.example.com:8080/v1",
            "yes get https://api.example.com:9001/health",
            "yes HEAD https://api.example.com:9000/health/",
            "no POST https://api.example.com:9000/health",
            "no GET https://api.example.com:9000/healthy",
            "no GET https://api.example.com:9000/health/x",
            "no GET https://api.example.com:9002/health",
            "no GET https://api.example.com/health",
        ],
    );
    check(
        &authority(&["net allow host=api.example.com schemes=http,https"]),
        &[
            "yes GET http://api.example.com/",
            "yes GET https://api.example.com/",
            "no GET http://api.example.com:443/",
            "no GET https://api.example.com:80/",
        ],
    );
}

#[test]
fn connect_and_trace_are_never_allowed() {
    check(
        &authority(&["net allow host=api.example.com"]),
        &[
            "no CONNECT https://api.example.com/",
            "no TRACE https://api.example.com/",
            "no TRACK https://api.example.com/",
            "no trace https://api.example.com/",
            "no dial 93.184.215.14 for TRACE https://api.example.com/",
            "yes PATCH https://api.example.com/",
        ],
    );
}

#[test]
fn a_star_in_a_host_stands_for_at_least_one_label() {
    check(
        &authority(&["net allow host=*.example.com"]),
        &[
            "yes GET https://a.example.com/",
            "yes GET https://a.b.example.com/",
            "no GET https://example.com/",
            "no GET https://aexample.com/",
            "no GET https://a.example.org/",
            // A wildcard names nobody in particular.
            "no lookup a.example.com",
        ],
    );
}

#[test]
fn a_denied_host_is_denied_in_every_way() {
    check(
        &authority(&[
            "net allow host=*.example.com schemes=http,https ports=80,443",
            "net allow host=evil.example.com",
            "net deny host=evil.example.com",
            "net deny host=*.bad.example.com",
            "net deny host=slow.example.com methods=POST",
            "net allow host=slow.example.com",
            "net deny host=port.example.com ports=80",
            "net deny host=path.example.com paths=/admin/**",
            "net deny host=plain.example.com schemes=http",
        ]),
        &[
            "yes GET https://good.example.com/",
            "no GET https://evil.example.com/",
            "no GET http://evil.example.com/",
            "no lookup evil.example.com",
            "no GET https://x.bad.example.com/",
            "yes GET https://bad.example.com/",
            "no POST https://slow.example.com/",
            "no post https://slow.example.com/",
            "yes GET https://slow.example.com/",
            "yes lookup slow.example.com",
            "no GET http://port.example.com/",
            "yes GET https://port.example.com/",
            "no GET https://path.example.com/admin",
            "no GET https://path.example.com/admin/x",
            "no GET https://path.example.com/%61dmin/x",
            "yes GET https://path.example.com/administrator",
            "no GET http://plain.example.com/",
            "yes GET https://plain.example.com/",
        ],
    );
}

#[test]
fn denying_every_host_denies_the_network() {
    check(
        &authority(&[
            "net allow host=api.example.com",
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp,tcp",
            "net deny host=*",
        ]),
        &[
            "no GET https://api.example.com/",
            "no lookup api.example.com",
            "no open udp",
            "no connect tcp 10.0.0.1:53",
            "no bind udp 0.0.0.0:0",
        ],
    );
    check(
        &authority(&[
            "net allow host=api.example.com",
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp,tcp",
            "net deny host=* methods=DELETE",
        ]),
        &[
            "no DELETE https://api.example.com/",
            "yes GET https://api.example.com/",
            "yes lookup api.example.com",
            "yes open udp",
            "yes connect tcp 10.0.0.1:53",
        ],
    );
}

#[test]
fn a_name_may_only_lead_to_the_public_internet() {
    let mut lines = vec!["yes dial 93.184.215.14 for GET https://api.example.com/".to_owned()];
    let private = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.1.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:5db8:d70e::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2620:4f:8000::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "8000::1",
        "c000::1",
        "e000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
    ];
    lines.extend(private.map(|address| format!("no dial {address} for GET https://api.example.com/")));
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1",
        "64:ff9b::1.1.1.1",
        "2002:101:101::",
        "::ffff:1.1.1.1",
        "2606:4700::5efe:1.1.1.1",
        "3ffe::1",
        "2001:200::1",
    ];
    lines.extend(public.map(|address| format!("yes dial {address} for GET https://api.example.com/")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(&authority(&["net allow host=api.example.com"]), &lines);
}

#[test]
fn a_range_names_private_addresses_for_hosts() {
    check(
        &authority(&["net allow host=intranet.example.com", "net allow cidr=10.0.0.0/8"]),
        &[
            "yes dial 10.1.2.3 for GET https://intranet.example.com/",
            "no dial 192.168.0.1 for GET https://intranet.example.com/",
            "yes GET https://10.1.2.3/",
            "no GET https://10.1.2.3:8080/",
            "no GET http://10.1.2.3/",
            "no GET https://11.0.0.1/",
            "no connect tcp 10.1.2.3:443",
            "yes dial ::ffff:10.1.2.3 for GET https://intranet.example.com/",
            "yes dial 64:ff9b::10.1.2.3 for GET https://intranet.example.com/",
        ],
    );
    // What is written beside the range holds for it.
    check(
        &authority(&[
            "net allow host=intranet.example.com ports=443,8080",
            "net allow cidr=10.0.0.0/8 ports=8080 methods=GET",
        ]),
        &[
            "yes dial 10.1.2.3 for GET https://intranet.example.com:8080/",
            "no dial 10.1.2.3 for POST https://intranet.example.com:8080/",
            "no dial 10.1.2.3 for GET https://intranet.example.com/",
        ],
    );
    // A range for sockets names nothing.
    check(
        &authority(&[
            "net allow host=intranet.example.com",
            "net allow cidr=10.0.0.0/8 ports=443 protocols=tcp",
        ]),
        &[
            "no dial 10.1.2.3 for GET https://intranet.example.com/",
            "no GET https://10.1.2.3/",
            "yes connect tcp 10.1.2.3:443",
        ],
    );
}

#[test]
fn a_range_alone_names_no_host() {
    check(
        &authority(&["net allow cidr=0.0.0.0/0"]),
        &[
            "no dial 1.1.1.1 for GET https://api.example.com/",
            "yes GET https://1.1.1.1/",
        ],
    );
}

#[test]
fn an_address_that_is_written_names_itself() {
    check(
        &authority(&[
            "net allow host=10.0.0.5",
            "net allow host=[::1]:8080 schemes=http",
            "net allow host=intranet.example.com",
        ]),
        &[
            "yes GET https://10.0.0.5/",
            "yes GET https://0x0a.5/",
            "yes GET https://167772165/",
            "yes GET https://012.0.0.05/",
            "yes GET https://[::ffff:10.0.0.5]/",
            "no GET https://10.0.0.6/",
            "no GET https://10.0.0.5:8080/",
            "yes GET http://[::1]:8080/",
            "no GET http://[::1]/",
            "yes dial 10.0.0.5 for GET https://intranet.example.com/",
            "no dial 10.0.0.6 for GET https://intranet.example.com/",
            "no dial 10.0.0.6 for GET https://10.0.0.5/",
        ],
    );
}

#[test]
fn localhost_is_this_machine_and_nothing_else() {
    check(
        &authority(&[
            "net allow host=localhost:8080 schemes=http",
            "net allow host=*.localhost",
        ]),
        &[
            "yes dial 127.0.0.1 for GET http://localhost:8080/",
            "yes dial ::1 for GET http://localhost:8080/",
            "no dial 93.184.215.14 for GET http://localhost:8080/",
            "no dial 10.0.0.1 for GET http://localhost:8080/",
            "no dial 127.0.0.1 for GET http://localhost/",
            "yes dial 127.0.0.1 for GET https://a.localhost/",
            "no dial 93.184.215.14 for GET https://a.localhost/",
        ],
    );
}

#[test]
fn a_denied_range_hits_names_addresses_and_sockets() {
    check(
        &authority(&[
            "net allow host=api.example.com",
            "net allow host=93.184.215.14",
            "net allow cidr=93.184.0.0/16 ports=53 protocols=tcp,udp",
            "net allow cidr=::/0 ports=53 protocols=tcp,udp",
            "net allow cidr=10.0.0.0/8",
            "net deny cidr=93.184.215.0/24",
            "net deny host=10.0.0.9",
        ]),
        &[
            "yes dial 93.184.216.1 for GET https://api.example.com/",
            "no dial 93.184.215.14 for GET https://api.example.com/",
            "no GET https://93.184.215.14/",
            "no connect tcp 93.184.215.14:53",
            "no send udp 93.184.215.14:53",
            "yes connect tcp 93.184.216.14:53",
            "no connect tcp [::ffff:93.184.215.14]:53",
            "no connect tcp [64:ff9b::93.184.215.14]:53",
            "no connect tcp [2002:5db8:d70e::]:53",
            "no dial 64:ff9b::93.184.215.14 for GET https://api.example.com/",
            "no dial 2002:5db8:d70e::1 for GET https://api.example.com/",
            "no dial 10.0.0.9 for GET https://api.example.com/",
            "yes dial 10.0.0.8 for GET https://api.example.com/",
        ],
    );
    check(
        &authority(&[
            "net allow host=api.example.com ports=443,8443",
            "net allow cidr=93.184.0.0/16 ports=1-65535 protocols=tcp,udp",
            "net deny cidr=93.184.0.0/16 ports=8443",
            "net deny cidr=93.184.0.0/17 protocols=udp",
        ]),
        &[
            "yes dial 93.184.0.1 for GET https://api.example.com/",
            "no dial 93.184.0.1 for GET https://api.example.com:8443/",
            "no connect tcp 93.184.0.1:8443",
            "yes connect tcp 93.184.0.1:53",
            "no connect udp 93.184.0.1:53",
            "yes connect udp 93.184.128.1:53",
        ],
    );
}

#[test]
fn raw_sockets_need_range_port_and_protocol() {
    check(
        &authority(&["net allow cidr=10.0.0.0/8 ports=5432,6000-6001 protocols=tcp"]),
        &[
            "yes open tcp",
            "no open udp",
            "yes connect tcp 10.0.0.1:5432",
            "yes receive tcp 10.0.0.1:6001",
            "yes listen tcp 10.0.0.1:5432",
            "yes connect tcp [::ffff:10.0.0.1]:5432",
            "no connect udp 10.0.0.1:5432",
            "no connect tcp 10.0.0.1:5433",
            "no connect tcp 11.0.0.1:5432",
            "yes bind tcp 0.0.0.0:0",
            "yes bind tcp [::]:0",
            "no bind udp 0.0.0.0:0",
            "no bind tcp 0.0.0.0:5432",
            "no bind tcp 10.0.0.1:0",
            "no listen tcp 0.0.0.0:0",
            "no lookup a.example.com",
        ],
    );
}

#[test]
fn an_address_that_holds_another_is_both() {
    check(
        &authority(&[
            "net allow cidr=64:ff9b::/96 ports=80 protocols=tcp",
            "net allow cidr=2000::/3 ports=80 protocols=tcp",
            "net allow cidr=10.0.0.0/24 ports=80 protocols=tcp",
        ]),
        &[
            "yes connect tcp [64:ff9b::1.1.1.1]:80",
            "no connect tcp [64:ff9b::127.0.0.1]:80",
            "yes connect tcp [64:ff9b::10.0.0.1]:80",
            "no connect tcp [64:ff9b::10.0.1.1]:80",
            "no connect tcp [2002:7f00:1::]:80",
            "yes connect tcp [2002:a00:1::]:80",
            // Teredo: the server is 1.1.1.1; the client's bits are inverted.
            "yes connect tcp [2001:0:101:101::fefe:fefe]:80",
            "no connect tcp [2001:0:101:101::80ff:fffe]:80",
            "no connect tcp [2001:0:7f00:1::fefe:fefe]:80",
        ],
    );
}

#[test]
fn variables_are_granted_by_name() {
    let authority = authority(&["env LANG", "env MODE=strict"]);
    check(
        &authority,
        &["yes env LANG", "yes env MODE", "no env lang", "no env HOME"],
    );
    assert!(authority.authorize(&Access::Environment).is_ok());
    let variable = |name: &str, value: Option<&str>| Variable {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    assert_eq!(
        authority.variables().cloned().collect::<Vec<_>>(),
        [variable("LANG", None), variable("MODE", Some("strict"))]
    );
}

#[test]
fn a_ceiling_with_a_value_allows_only_that_value() {
    let granted = ["env A=1", "env B=1", "env C", "env D=1"];
    check(
        &below(&granted, &["env A=1", "env B=2", "env C=1", "env D"]),
        &["yes env A", "no env B", "no env C", "yes env D"],
    );
}

#[test]
fn secrets_go_only_to_their_host() {
    let authority = authority(&[
        "secret token api.example.com Authorization Bearer {secret}",
        "secret key https://other.example.com:8443/v1 X-Key",
    ]);
    check(
        &authority,
        &[
            "yes secret token https://api.example.com/a",
            "no secret token http://api.example.com/",
            "no secret token https://other.example.com/",
            "no secret key https://api.example.com/",
            "yes secret key https://other.example.com:8443/v1/x",
            "no secret key https://other.example.com:8443/v2",
            "no GET https://api.example.com/",
        ],
    );
    let target = crate::HttpTarget::parse("GET", "https://api.example.com/").unwrap();
    assert_eq!(
        authority.secrets(&target).cloned().collect::<Vec<_>>(),
        [SecretUse {
            name: "token".to_owned(),
            header: "authorization".to_owned(),
            before: "Bearer ".to_owned(),
            after: String::new(),
        }]
    );
}

#[test]
fn a_ceiling_says_how_a_secret_is_sent() {
    let granted = [
        "secret token api.example.com Authorization Bearer {secret}",
        "secret token api.example.com X-Token",
    ];
    let target = crate::HttpTarget::parse("GET", "https://api.example.com/").unwrap();
    let headers = |ceiling: &[&str]| {
        let authority = below(&granted, ceiling);
        let access = Access::Secret {
            name: "token",
            target: &target,
        };
        let headers: Vec<_> = authority
            .secrets(&target)
            .map(|secret| secret.header.clone())
            .collect();
        (headers, authority.authorize(&access).is_ok())
    };
    let both = ["authorization".to_owned(), "x-token".to_owned()];
    assert_eq!(
        headers(&["secret token *.example.com x-token"]),
        (vec!["x-token".to_owned()], true)
    );
    assert_eq!(headers(&granted), (both.to_vec(), true));
    // What is refused must show in the report, so it is still asked for.
    assert_eq!(
        headers(&["secret token *.example.com x-token {secret}!"]),
        (both.to_vec(), false)
    );
}

#[test]
fn a_request_is_explained_with_the_address_where_it_is_known() {
    let explained = |granted: &[&str], text: &str| {
        let access = AccessText::parse(text).unwrap();
        below(granted, granted).explain_whole(&access).text
    };
    let granted = [
        "net allow host=localhost:8080 schemes=http",
        "net deny cidr=127.0.0.0/8",
    ];
    let text = explained(&granted, "GET http://localhost:8080/");
    assert!(text.starts_with("denied: dial 127.0.0.1"), "{text}");
    assert!(explained(&granted[..1], "GET http://localhost:8080/").starts_with("allowed: GET"));
    // Each address of a name must be allowed, that of IPv6 too.
    let granted = [granted[0], "net deny host=[::1]"];
    let text = explained(&granted, "GET http://localhost:8080/");
    assert!(text.starts_with("denied: dial ::1"), "{text}");
    let granted = ["net allow host=http://10.0.0.5/"];
    assert!(explained(&granted, "GET http://10.0.0.5/").starts_with("allowed: GET"));
}

#[test]
fn a_path_is_explained_with_its_place() {
    let explained = |granted: &[&str], text: &str| {
        let access = AccessText::parse(text).unwrap();
        below(granted, granted).explain_whole(&access).text
    };
    let granted = ["fs allow write /srv/data guest=/data"];
    assert_eq!(
        explained(&granted, "read /data/a"),
        "allowed: read `/data/a`, by `storage allow \"fs:///srv/data\" access read,write guest \"/data\"`; on the machine \
         it is `/srv/data/a`"
    );
    assert!(
        explained(&granted, "read /srv/data/a")
            .ends_with("; the component sees that place of the machine as `/data/a`")
    );
    assert!(
        explained(&granted, "read /srv/other").ends_with("a storage grant for `fs:///srv/other` with read")
    );
    let granted = [
        granted[0],
        "fs deny /srv/data/b",
        "fs allow read /srv/only guest=/only",
    ];
    assert!(
        explained(&granted, "write /only/a")
            .contains("lacks a storage grant for `fs:///srv/only/a` with write")
    );
    // What was granted itself is neither removed nor moved, nor what has such a place below it.
    let granted = ["fs allow write /srv/data", "fs allow write /srv/data/in/it"];
    for text in [
        "remove /srv/data",
        "rename /srv/data",
        "rename /srv/data/in",
        "remove /srv/data/in",
    ] {
        let text = explained(&granted, text);
        assert!(
            text.starts_with("denied: ") && text.contains("is itself what was granted"),
            "{text}"
        );
    }
    // Also where it is seen by another name.
    let seen = [
        "fs allow write /srv/data guest=/data",
        "fs allow write /srv/data/in",
    ];
    for text in ["rename /data/in", "remove /data/in"] {
        assert!(explained(&seen, text).contains("`/srv/data/in` is itself what was granted"));
    }
    for text in [
        "remove /srv/data/inside",
        "rename /srv/data/a",
        "write /srv/data",
        "rename /srv/data/inside",
    ] {
        assert!(explained(&granted, text).starts_with("allowed: "), "{text}");
    }
}

#[test]
fn a_secret_is_explained_with_its_request_and_a_request_with_its_secrets() {
    let explained = |granted: &[&str], ceiling: &[&str], text: &str| {
        let access = crate::AccessText::parse(text).unwrap();
        assert_eq!(access.to_string(), text);
        below(granted, ceiling).explain_whole(&access).text
    };
    let granted = [
        "net allow host=api.example.com methods=POST",
        "secret token api.example.com x-key",
    ];
    let post = "secret token POST https://api.example.com/";
    assert!(explained(&granted, &granted, post).starts_with("allowed: use secret `token`"));
    let get = "secret token https://api.example.com/";
    assert!(explained(&granted, &granted, get).starts_with("denied: GET `https://api.example.com/`"));
    // The ceiling lets the request through and not the secret that belongs on it.
    let request = "POST https://api.example.com/";
    assert!(explained(&granted, &granted, request).starts_with("allowed: POST"));
    assert!(explained(&granted, &granted[..1], request).starts_with("denied: use secret `token`"));
}

#[test]
fn both_layers_must_allow() {
    let authority = below(
        &[
            "fs allow write /srv/data",
            "net allow host=a.example.com",
            "net allow host=b.example.org",
            "net allow host=c.example.com",
            "env A",
        ],
        &[
            "fs allow read /srv/**",
            "net allow host=*.example.com",
            "net deny host=c.example.com",
            "fs deny /srv/data/x",
            "tool delete-*",
        ],
    );
    check(
        &authority,
        &[
            "yes read /srv/data/a",
            "no write /srv/data/a",
            "no read /srv/data/x",
            "no read /srv/other",
            "yes GET https://a.example.com/",
            "no GET https://b.example.org/",
            "no GET https://c.example.com/",
            "no GET https://d.example.com/",
            "yes lookup a.example.com",
            "no lookup c.example.com",
            "no env A",
        ],
    );
    assert!(authority.has_network());
    let sockets = ["net allow cidr=10.0.0.0/8 ports=53 protocols=udp"];
    assert!(below(&sockets, &sockets).has_network());
    assert!(!below(&["net allow host=a.example.com"], &[]).has_network());
    for line in [
        "net allow host=*.example.com",
        "net allow cidr=10.0.0.0/8",
        "net allow host=10.0.0.5",
    ] {
        assert!(super::authority(&[line]).has_network());
    }
    assert!(!super::authority(&["net deny host=*"]).has_network());
    assert!(authority.offers_tool("list"));
    assert!(!authority.offers_tool("delete-all"));
}

#[test]
fn a_denial_says_which_layer_and_rule() {
    let authority = below(
        &["fs allow read /srv", "fs deny /srv/private"],
        &[
            "fs allow read /srv/a",
            "fs allow read /srv/private",
            "fs deny /srv/a/b",
        ],
    );
    let denial = |path: &str| {
        let path: AbsolutePath = path.parse().unwrap();
        let access = Access::File {
            path: &path,
            operation: crate::FileOperation::Read,
        };
        authority.authorize(&access).unwrap_err()
    };
    let expected = |path: &str, layer: Layer, rule: Option<&str>| Denied {
        access: format!("read `{path}`"),
        lacks: format!("a storage grant for `fs://{path}` with read"),
        layer,
        rule: rule.map(Into::into),
    };
    assert_eq!(denial("/etc"), expected("/etc", Layer::Granted, None));
    assert_eq!(
        denial("/srv/private"),
        expected(
            "/srv/private",
            Layer::Granted,
            Some("storage deny \"fs:///srv/private\"")
        )
    );
    assert_eq!(denial("/srv/c"), expected("/srv/c", Layer::Ceiling, None));
    assert_eq!(
        denial("/srv/a/b"),
        expected("/srv/a/b", Layer::Ceiling, Some("storage deny \"fs:///srv/a/b\""))
    );
    let path: AbsolutePath = "/srv/a/c".parse().unwrap();
    let permit = authority
        .authorize(&Access::File {
            path: &path,
            operation: crate::FileOperation::Read,
        })
        .unwrap();
    assert_eq!(permit.rule(), "storage allow \"fs:///srv\" access read");
}

#[test]
fn what_has_no_meaning_is_denied() {
    let authority = authority(&["fs allow read /a"]);
    let access = Access::Malformed {
        kind: AccessKind::File,
        text: "../a",
        why: "the path leads out of the root",
    };
    assert_eq!(
        authority.authorize(&access).unwrap_err(),
        Denied {
            access: "reach `../a`".to_owned(),
            lacks: "a meaning: the path leads out of the root".to_owned(),
            layer: Layer::Granted,
            rule: None,
        }
    );
    assert_eq!(access.kind(), AccessKind::File);
    check(&authority, &["no lookup a..example.com"]);
}

#[test]
fn each_access_says_what_it_is_and_what_it_lacks() {
    let at = "https://a.example:8443";
    for (text, kind, shown, lacks) in [
        (
            "read /a",
            AccessKind::File,
            "read `/a`",
            "a storage grant for `fs:///a` with read",
        ),
        (
            "list /a",
            AccessKind::File,
            "list `/a`",
            "a storage grant for `fs:///a` with read",
        ),
        (
            "inspect /a",
            AccessKind::File,
            "inspect `/a`",
            "a storage grant for `fs:///a` with read",
        ),
        (
            "write /a",
            AccessKind::File,
            "write `/a`",
            "a storage grant for `fs:///a` with write",
        ),
        (
            "create /a",
            AccessKind::File,
            "create `/a`",
            "a storage grant for `fs:///a` with write",
        ),
        (
            "remove /a",
            AccessKind::File,
            "remove `/a`",
            "a storage grant for `fs:///a` with write",
        ),
        (
            "rename /a",
            AccessKind::File,
            "rename `/a`",
            "a storage grant for `fs:///a` and all below it with write",
        ),
        (
            &format!("GET {at}/b"),
            AccessKind::Http,
            "GET `https://a.example:8443/b`",
            "a network grant for `https://a.example:8443`",
        ),
        (
            &format!("dial 10.0.0.5 for GET {at}/b"),
            AccessKind::Http,
            "dial 10.0.0.5 for `https://a.example:8443`",
            "a network grant by cidr that names the address 10.0.0.5",
        ),
        (
            "lookup a",
            AccessKind::Resolve,
            "look up `a`",
            "a network grant that names `a`",
        ),
        (
            "open udp",
            AccessKind::Socket,
            "open a udp socket",
            "a network grant by cidr, port and protocol udp",
        ),
        (
            "bind tcp 10.0.0.5:80",
            AccessKind::Socket,
            "bind tcp 10.0.0.5:80",
            "a network grant by cidr for 10.0.0.5, port 80 and protocol tcp",
        ),
        (
            "listen tcp [::1]:80",
            AccessKind::Socket,
            "listen at tcp [::1]:80",
            "a network grant by cidr for ::1, port 80 and protocol tcp",
        ),
        (
            "connect udp 10.0.0.5:80",
            AccessKind::Socket,
            "connect to udp 10.0.0.5:80",
            "a network grant by cidr for 10.0.0.5, port 80 and protocol udp",
        ),
        (
            "send udp 10.0.0.5:80",
            AccessKind::Socket,
            "send to udp 10.0.0.5:80",
            "a network grant by cidr for 10.0.0.5, port 80 and protocol udp",
        ),
        (
            "receive udp 10.0.0.5:80",
            AccessKind::Socket,
            "receive from udp 10.0.0.5:80",
            "a network grant by cidr for 10.0.0.5, port 80 and protocol udp",
        ),
        (
            "env A",
            AccessKind::Environment,
            "read environment variable `A`",
            "a grant for the environment variable `A`",
        ),
        (
            &format!("secret t {at}/b"),
            AccessKind::Secret,
            "use secret `t` for `https://a.example:8443`",
            "a grant for the secret `t` at `https://a.example:8443`",
        ),
    ] {
        let access = AccessText::parse(text).unwrap();
        let access = *access.accesses().last().unwrap();
        assert_eq!(access.kind(), kind);
        let denied = authority(&[]).authorize(&access).unwrap_err();
        assert_eq!((denied.access.as_str(), denied.lacks.as_str()), (shown, lacks));
    }
    let decision = |allowed, rule: &str| Decision {
        kind: AccessKind::File,
        access: "read `/a`".to_owned(),
        allowed,
        lacks: "a grant".to_owned(),
        rule: rule.to_owned(),
        attempts: 1,
    };
    assert_eq!(decision(false, "").why(), "it lacks a grant");
    assert_eq!(
        decision(false, "storage deny").why(),
        "the rule `storage deny` says so"
    );
    assert_eq!(decision(true, "storage allow").why(), "");
    assert_eq!(Access::Environment.kind(), AccessKind::Environment);
    let denied = authority(&[]).authorize(&Access::Environment).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "denied: read environment variables; it lacks a grant for each environment variable it needs"
    );
}

#[test]
fn the_layers_can_be_looked_at() {
    let own = ["fs allow read /a"];
    let layers = below(&own, &["fs allow read /a/b"]);
    assert_eq!(layers.granted(), &policy(&own));
    assert_eq!(layers.ceiling(), Some(&policy(&["fs allow read /a/b"])));
    assert_eq!(authority(&own).ceiling(), None);
    let nothing = Authority::nothing(Limits::DEFAULT);
    assert_eq!((nothing.granted(), nothing.ceiling()), (&policy(&[]), None));
    assert_eq!((nothing.limits(), nothing.mounts()), (&Limits::DEFAULT, &[][..]));
    assert!(!nothing.has_network());
}

#[test]
fn any_rule_that_allows_something_of_the_network_is_one() {
    for rule in [
        "net allow host=a.example.com",
        "net allow host=*.example.com",
        "net allow cidr=10.0.0.0/8 ports=1 protocols=tcp",
    ] {
        assert!(authority(&[rule]).has_network(), "{rule}");
        assert!(below(&[rule], &[rule]).has_network(), "{rule}");
        assert!(
            !below(&[rule], &["net deny host=a.example.com"]).has_network(),
            "{rule}"
        );
    }
    assert!(!authority(&["net deny host=*"]).has_network());
}
