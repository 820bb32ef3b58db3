//! Reads execs and their mounts.

use super::draft::Draft;
use super::lex::{Fault, Token};
use super::parse::{Key, Parser, unknown};
use crate::proto::pb;

const EXEC: &[&str] = &[
    "cwd",
    "user",
    "hostname",
    "cgroup-parent",
    "network",
    "security",
    "exit-codes",
    "keep-mount-stubs",
    "no-meta",
];

const MOUNT: &[&str] = &[
    "from",
    "select",
    "content-cache",
    "result",
    "readonly",
    "no-output",
    "no-options",
    "size",
    "private",
    "locked",
    "sharing",
    "owner",
    "mode",
    "optional",
];

impl<'t> Parser<'t> {
    pub(super) fn exec(&mut self, draft: &mut Draft<'t>) -> Result<(), Fault> {
        let mut exec = pb::ExecOp::default();
        let mut has_meta = true;
        let mut meta = pb::Meta {
            remove_mount_stubs_recursive: true,
            ..pb::Meta::default()
        };
        while matches!(self.peek()?, Token::Text(_)) {
            meta.args.push(self.string("an argument")?);
        }
        self.attributes(draft, EXEC, |parser, _, key| {
            if key.is_quoted {
                return Ok(false);
            }
            match (&*key.name, key.has_value) {
                ("cwd", true) => meta.cwd = parser.value()?,
                ("user", true) => meta.user = parser.value()?,
                ("hostname", true) => meta.hostname = parser.value()?,
                ("cgroup-parent", true) => meta.cgroup_parent = parser.value()?,
                ("network", true) => {
                    exec.network = parser.choice(&["sandbox", "host", "none"])?;
                }
                ("security", true) => exec.security = parser.choice(&["sandbox", "insecure"])?,
                ("exit-codes", true) => parser.list(|parser| {
                    meta.valid_exit_codes.push(parser.number()?);
                    Ok(())
                })?,
                ("keep-mount-stubs", false) => meta.remove_mount_stubs_recursive = false,
                ("no-meta", false) => has_meta = false,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        self.block(|parser| parser.exec_line(draft, &mut exec, &mut meta))?;
        exec.meta = has_meta.then_some(meta);
        draft.message.op = Some(pb::op::Op::Exec(exec));
        Ok(())
    }

    /// `{`, lines, `}`
    pub(super) fn block(
        &mut self,
        mut line: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect("{")?;
        loop {
            match self.peek()? {
                Token::Newline => self.advance(),
                Token::Mark("}") => {
                    self.advance();
                    return Ok(());
                }
                Token::End => return Err(self.unexpected("`}`")),
                _ => {
                    line(self)?;
                    if !matches!(self.peek()?, Token::Newline | Token::Mark("}")) {
                        return Err(self.unexpected("the end of the line"));
                    }
                }
            }
        }
    }

    /// One of the words, whose place is the value, or a number.
    fn choice(&mut self, words: &[&str]) -> Result<i32, Fault> {
        let expected = format!("`{}`", words.join("`, `"));
        self.parsed(&expected, |word| {
            let place = words.iter().position(|known| *known == word);
            match place {
                Some(place) => i32::try_from(place).ok(),
                None => word.parse().ok(),
            }
        })
    }

    fn exec_line(
        &mut self,
        draft: &mut Draft<'t>,
        exec: &mut pb::ExecOp,
        meta: &mut pb::Meta,
    ) -> Result<(), Fault> {
        match self.peek()? {
            Token::Text(_) => {
                let target = self.string("a target")?;
                self.mount(draft, exec, target)
            }
            Token::Word(word) if word.starts_with('/') => {
                let target = (*word).to_owned();
                self.advance();
                self.mount(draft, exec, target)
            }
            Token::Mark("$") => {
                self.advance();
                let name = self.value()?;
                self.expect("=")?;
                self.word("secret")?;
                let id = self.string("the id of a secret")?;
                let optional = self.flag("optional")?;
                exec.secretenv.push(pb::SecretEnv { id, name, optional });
                Ok(())
            }
            Token::Word("env") => {
                self.advance();
                let is_whole = matches!(self.peek()?, Token::Text(_));
                let mut entry = self.value()?;
                if !is_whole {
                    self.expect("=")?;
                    entry.push('=');
                    entry += &self.value()?;
                }
                meta.env.push(entry);
                Ok(())
            }
            Token::Word("host") => {
                self.advance();
                let host = self.value()?;
                self.expect("=")?;
                let ip = self.value()?;
                meta.extra_hosts.push(pb::HostIp { host, ip });
                Ok(())
            }
            Token::Word("ulimit") => {
                self.advance();
                let name = self.value()?;
                self.expect("=")?;
                let (soft, hard) = self.parsed("a soft and a hard limit, such as `1024:2048`", |word| {
                    let (soft, hard) = word.split_once(':')?;
                    Some((soft.parse().ok()?, hard.parse().ok()?))
                })?;
                meta.ulimit.push(pb::Ulimit { name, soft, hard });
                Ok(())
            }
            Token::Word("proxy") => {
                self.advance();
                self.proxy(meta.proxy_env.get_or_insert_default())
            }
            Token::Word("device") => {
                self.advance();
                let name = self.string("the name of a device")?;
                let optional = self.flag("optional")?;
                exec.cdi_devices.push(pb::CdiDevice { name, optional });
                Ok(())
            }
            _ => Err(self.unexpected(
                "a mount such as `/target = %op`, or `env`, `host`, `ulimit`, `proxy`, `$SECRET`, `device`",
            )),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.flag(word)? {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{word}`")))
    }

    fn flag(&mut self, flag: &str) -> Result<bool, Fault> {
        let is_there = matches!(self.peek()?, Token::Word(word) if *word == flag);
        if is_there {
            self.advance();
        }
        Ok(is_there)
    }

    fn proxy(&mut self, proxy: &mut pb::ProxyEnv) -> Result<(), Fault> {
        while let Some(key) = self.key()? {
            let value = match &*key.name {
                "http" => &mut proxy.http_proxy,
                "https" => &mut proxy.https_proxy,
                "ftp" => &mut proxy.ftp_proxy,
                "no" => &mut proxy.no_proxy,
                "all" => &mut proxy.all_proxy,
                _ => {
                    let known = ["http", "https", "ftp", "no", "all"];
                    return Err(unknown(&key, "proxy", &known));
                }
            };
            if !key.has_value {
                return Err(self.unexpected("`=`"));
            }
            *value = self.value()?;
        }
        Ok(())
    }

    fn mount(
        &mut self,
        draft: &mut Draft<'t>,
        exec: &mut pb::ExecOp,
        dest: String,
    ) -> Result<(), Fault> {
        self.expect("=")?;
        let mut mount = pb::Mount {
            dest,
            input: -1,
            ..pb::Mount::default()
        };
        // The output of a mount that says none; a bind mount has to say it.
        let mut usual_output = None;
        match self.peek()? {
            Token::Word("cache") => {
                self.advance();
                mount.mount_type = pb::MountType::Cache.into();
                usual_output = Some(-1);
                let mut cache = pb::CacheOpt::default();
                if matches!(self.peek()?, Token::Text(_)) {
                    cache.id = self.string("an id")?;
                }
                mount.cache_opt = Some(cache);
            }
            Token::Word("tmpfs") => {
                self.advance();
                mount.mount_type = pb::MountType::Tmpfs.into();
                usual_output = Some(-1);
                mount.tmpfs_opt = Some(pb::TmpfsOpt::default());
            }
            Token::Word("secret") => {
                self.advance();
                mount.mount_type = pb::MountType::Secret.into();
                usual_output = Some(0);
                let mut secret = pb::SecretOpt {
                    mode: 0o400,
                    ..pb::SecretOpt::default()
                };
                if matches!(self.peek()?, Token::Text(_)) {
                    secret.id = self.string("an id")?;
                }
                mount.secret_opt = Some(secret);
            }
            Token::Word("ssh") => {
                self.advance();
                mount.mount_type = pb::MountType::Ssh.into();
                usual_output = Some(0);
                let mut ssh = pb::SshOpt {
                    mode: 0o600,
                    ..pb::SshOpt::default()
                };
                if matches!(self.peek()?, Token::Text(_)) {
                    ssh.id = self.string("an id")?;
                }
                mount.ssh_opt = Some(ssh);
            }
            Token::Word("type") => {
                self.advance();
                self.expect("=")?;
                mount.mount_type = self.number()?;
                mount.input = self.reference(draft)?;
            }
            _ => mount.input = self.reference(draft)?,
        }
        let mut output = None;
        loop {
            if self.take("->")? {
                output = Some(self.output()?);
                continue;
            }
            let Some(key) = self.key()? else { break };
            match (&*key.name, key.has_value) {
                ("from", false) => mount.input = self.reference(draft)?,
                ("no-output", false) => output = Some(-1),
                _ => self.mount_option(&mut mount, &key)?,
            }
        }
        let is_bind = usual_output.is_none();
        if is_bind && mount.readonly && mount.mount_type == 0 {
            usual_output = Some(-1);
        }
        let Some(output) = output.or(usual_output) else {
            let expected = "where the mount's result goes: `-> out0`, `no-output` or `readonly`";
            return Err(self.unexpected(expected));
        };
        mount.output = output;
        exec.mounts.push(mount);
        Ok(())
    }

    /// `out1`
    pub(super) fn output(&mut self) -> Result<i64, Fault> {
        self.parsed("an output such as `out0`", |word| {
            word.strip_prefix("out")?.parse().ok()
        })
    }

    fn mount_option(&mut self, mount: &mut pb::Mount, key: &Key) -> Result<(), Fault> {
        let pb::Mount {
            cache_opt,
            tmpfs_opt,
            secret_opt,
            ssh_opt,
            ..
        } = mount;
        match (&*key.name, key.has_value) {
            ("select", false) => mount.selector = self.value()?,
            ("content-cache", true) => {
                mount.content_cache = self.choice(&["default", "on", "off"])?;
            }
            ("result", true) => mount.result_id = self.value()?,
            ("readonly", false) => mount.readonly = true,
            ("no-options", false) => {
                *cache_opt = None;
                *tmpfs_opt = None;
                *secret_opt = None;
                *ssh_opt = None;
            }
            ("size", true) if tmpfs_opt.is_some() => {
                *tmpfs_opt = Some(pb::TmpfsOpt {
                    size: self.number()?,
                });
            }
            ("private" | "locked", false) | ("sharing", true) if cache_opt.is_some() => {
                let cache = cache_opt.get_or_insert_default();
                cache.sharing = match &*key.name {
                    "private" => 1,
                    "locked" => 2,
                    _ => self.number()?,
                };
            }
            ("owner", true) if secret_opt.is_some() || ssh_opt.is_some() => {
                let (uid, gid) = self.parsed("two numbers such as `1000:1000`", |word| {
                    let (uid, gid) = word.split_once(':')?;
                    Some((uid.parse().ok()?, gid.parse().ok()?))
                })?;
                if let Some(secret) = secret_opt {
                    (secret.uid, secret.gid) = (uid, gid);
                }
                if let Some(ssh) = ssh_opt {
                    (ssh.uid, ssh.gid) = (uid, gid);
                }
            }
            ("mode", true) if secret_opt.is_some() || ssh_opt.is_some() => {
                let mode = self.mode()?;
                if let Some(secret) = secret_opt {
                    secret.mode = mode;
                }
                if let Some(ssh) = ssh_opt {
                    ssh.mode = mode;
                }
            }
            ("optional", false) if secret_opt.is_some() || ssh_opt.is_some() => {
                if let Some(secret) = secret_opt {
                    secret.optional = true;
                }
                if let Some(ssh) = ssh_opt {
                    ssh.optional = true;
                }
            }
            (name, _) if MOUNT.contains(&name) && !matches!(name, "from" | "select") => {
                let message = format!("`{name}` does not fit this mount");
                return Err(Fault::new(key.offset, message));
            }
            _ => return Err(unknown(key, "option of a mount", MOUNT)),
        }
        Ok(())
    }
}
