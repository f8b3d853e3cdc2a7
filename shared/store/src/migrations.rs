//! The versions of the schema, embedded; `migrations/` holds a file for each.
//!
//! The database keeps the checksum of what it has played: a file that has landed never changes.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Number, name and SQL.
type Version = (i64, &'static str, &'static str);

/// The versions of PostgreSQL's schema.
pub(super) const POSTGRES: [Version; 7] = [
    (1, "record", include_str!("../migrations/postgres/0001_record.sql")),
    (2, "denial", include_str!("../migrations/postgres/0002_denial.sql")),
    (3, "lineage", include_str!("../migrations/postgres/0003_lineage.sql")),
    (4, "operation", include_str!("../migrations/postgres/0004_operation.sql")),
    (5, "partitions", include_str!("../migrations/postgres/0005_partitions.sql")),
    (6, "delivery", include_str!("../migrations/postgres/0006_delivery.sql")),
    (7, "work", include_str!("../migrations/postgres/0007_work.sql")),
];

/// The versions of SQLite's schema.
pub(super) const SQLITE: [Version; 7] = [
    (1, "record", include_str!("../migrations/sqlite/0001_record.sql")),
    (2, "denial", include_str!("../migrations/sqlite/0002_denial.sql")),
    (3, "lineage", include_str!("../migrations/sqlite/0003_lineage.sql")),
    (4, "operation", include_str!("../migrations/sqlite/0004_operation.sql")),
    (5, "partitions", include_str!("../migrations/sqlite/0005_partitions.sql")),
    (6, "delivery", include_str!("../migrations/sqlite/0006_delivery.sql")),
    (7, "work", include_str!("../migrations/sqlite/0007_work.sql")),
];

/// Returns what brings a database to the newest of these versions; it ignores those that only a
/// later release knows, which may be running beside this one.
pub(super) fn migrator(versions: &[Version]) -> Migrator {
    let migrations = versions.iter().map(|&(number, name, sql)| {
        let sql = sql.into_sql_str();
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file below a folder of `migrations/`, as it should be listed.
    fn files(engine: &str) -> Vec<(i64, String, String)> {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                let (number, name) = name.split_once('_').unwrap();
                let sql = std::fs::read_to_string(&path).unwrap();
                (number.parse().unwrap(), name.replace('_', " "), sql)
            })
            .collect();
        files.sort();
        files
    }

    fn listed(versions: &[Version]) -> Vec<(i64, String, String)> {
        versions.iter().map(|&(number, name, sql)| (number, name.into(), sql.into())).collect()
    }

    fn checksums(versions: &[Version]) -> Vec<String> {
        let hex = |sum: &[u8]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        migrator(versions).iter().map(|version| hex(&version.checksum)).collect()
    }

    #[test]
    fn every_file_is_listed_under_its_number_and_name() {
        assert_eq!(listed(&POSTGRES), files("postgres"));
        assert_eq!(listed(&SQLITE), files("sqlite"));
    }

    /// What databases of earlier releases have in `_sqlx_migrations`: with another checksum they
    /// would refuse to start.
    #[test]
    fn databases_that_were_migrated_before_know_these_checksums() {
        assert_eq!(checksums(&POSTGRES), POSTGRES_SUMS);
        assert_eq!(checksums(&SQLITE), SQLITE_SUMS);
    }

    const POSTGRES_SUMS: [&str; 7] = [
        "fb05118ef98ca2a569c8fc80bfa761bf25c8e03f620502a9c87c3b197e1518cdba6cbf70b67b960a89caf46f9e816649",
        "66476d3e1dcea4af99b460d4e9a913051c2043d56b422eee7267def41155b67270f578e6305fe8ce097dbbfd93f743bf",
        "5b745707c50239768fbcff97fea4996f0f97803f3b969c249a6108d9348ee3ea6b0ae1dc882bcabe8e466f1ed2129c6c",
        "cc6a1028c33008a04a30e0a96beda5fb3eac37bee0f087b82495397591b13e344d0f6e756e0edf0058c7c6fc24d8a689",
        "95e3dc418cddc1971b3454c3f378024660140b5af2273a24dbf5421c9e55a16e461718491ad5a2c7736366303e0982d6",
        "e399c13b55f9409ac518637c08a367320c856823c775d579c033a66d09f3d65c9e184ceb24a4fe57d4a422c54af8c753",
        "5df9f4d9a71fa21a023e536afbde3bda9f1df56d73d090ae2f3e2a9391e100a5a80a1ac6545b465f6b88427d7799b46c",
    ];
    const SQLITE_SUMS: [&str; 7] = [
        "3c15b0b7c38db0151a4a4da1ded5fbd5a949b311721bd655b0712f68fa62534724041ef7fabeb70081c5645df6a8ef71",
        "be9f16cc9ba50f3ab0dc8873042c83249d6135c813c3e511462ae2d693afb498ee361b66b3ad7d99999dc10bc02dbeb0",
        "ef153ebc91c8d62dfaa043ac75058d9997fa6f7773f63bd478495118b281249f144a394b8e5a953302854a1d922d8cb8",
        "aa49e3b045aa68d20ae4ef1c80e95b860429d4e366ac19d3d6487d87234e97ffd45eafc67e3d0d50331f725efe529dd6",
        "55016ca8d2ab8c42d661184b1f72b23ad90fb496792cc55aa1c41796a81d388c72a78716be32d8fe9101ab5cfb37c7b8",
        "bb4dba3d4907a0ba674cd77731745e71ab6820b77ce45a6d9c6836a3b2453d4a1b3570bd554a8ab6691998ae76a0a70a",
        "61b625856a0526e53a4cdd89caccd4b63780c4c2082fe30c423d2a299a5cfaad1ad7e95af97f52a3203f08a5350581bd",
    ];
}
