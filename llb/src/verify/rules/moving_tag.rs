//! Images that are another one tomorrow.

use super::{Check, Report, Rule, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    code: "moving-tag",
    severity: Severity::Warning,
    page: include_str!("moving_tag.md"),
    check: Check::Op(check),
};

fn check(report: &mut Report<'_>, subject: &Subject<'_>) {
    let identifier = subject.source().map(|source| &source.identifier);
    let image = identifier.and_then(|identifier| identifier.strip_prefix("docker-image://"));
    let Some(reference) = image else { return };
    let last = reference.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map_or("", |(_, tag)| tag);
    if !reference.contains('@') && matches!(tag, "" | "latest") {
        report.find(
            subject.position,
            format!("{reference:?} is another image tomorrow"),
            "name a version, or add the digest: `name:tag@sha256:...`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn images_without_version_and_digest_are_found() {
        let text = "\
%a = source \"docker-image://docker.io/library/alpine:latest\"
%b = source \"docker-image://docker.io/library/alpine:3.22\"
%c = source \"docker-image://localhost:5000/alpine\"
%d = source \"docker-image://docker.io/library/alpine:latest@sha256:00\"
%e = merge %a, %b, %c, %d
return %e
";
        assert_eq!(
            found("moving-tag", text),
            [
                "%alpine: \"docker.io/library/alpine:latest\" is another image tomorrow",
                "%alpine-3: \"localhost:5000/alpine\" is another image tomorrow",
            ]
        );
    }
}
