//! What is looked up, tried and made in a database before the first row: the target table, whether
//! it fits, and the table of fences. Changes nothing but that it makes the latter.

use super::rows::Kind;
use crate::error::Error;
use crate::sql::classify::failed;
use crate::sql::name::{Shape, qualified, quoted};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

/// The schema and number of the table.
pub async fn find_table(client: &Client, shape: &Shape) -> Result<(String, u32), Error> {
    let sql = "SELECT n.nspname, c.oid FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid = pg_catalog.to_regclass($1)";
    let found = client.query_opt(sql, &[&shape.quoted_table()]).await.map_err(failed)?;
    let row = found.ok_or_else(|| crate::sql::no_table(shape))?;
    Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))
}

/// The kinds of the columns, and the names of the types to which the server turns their texts:
/// what domains are made of, since a cast to a domain would cut off what is too long.
pub async fn find_columns(
    client: &Client,
    shape: &Shape,
    oid: u32,
) -> Result<(Vec<Kind>, Vec<String>), Error> {
    let sql = "WITH RECURSIVE base (name, type) AS (\
                 SELECT attname, atttypid FROM pg_catalog.pg_attribute \
                 WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped \
                 UNION ALL SELECT b.name, t.typbasetype FROM base b \
                 JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd') \
               SELECT b.name, n.nspname, t.typname, t.typcategory::text FROM base b \
               JOIN pg_catalog.pg_type t ON t.oid = b.type \
               JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype <> 'd'";
    let mut found = Vec::new();
    for row in client.query(sql, &[&oid]).await.map_err(failed)? {
        let column = |at| row.try_get::<_, String>(at).map_err(failed);
        found.push((column(0)?, column(1)?, column(2)?, column(3)?));
    }
    let (mut kinds, mut casts) = (Vec::new(), Vec::new());
    for (name, source) in &shape.columns {
        let column = found.iter().find(|(found, ..)| found == name);
        let Some((_, schema, kind, category)) = column else {
            return Err(crate::sql::no_column(shape, name, source));
        };
        if category == "A" {
            let table = shape.quoted_table();
            let what = format!(
                "the column {} of {table} is an array, which is not supported: use jsonb",
                quoted(name)
            );
            return Err(Error::Fatal { code: "sql-column", what });
        }
        kinds.push(Kind::of(kind));
        casts.push(qualified(Some(schema), kind));
    }
    Ok((kinds, casts))
}

/// The statement that takes a batch, as one array of texts for each column.
pub fn insert_statement(shape: &Shape, schema: &str, casts: &[String]) -> String {
    let numbered = |make: &dyn Fn(usize, &String) -> String| {
        casts.iter().enumerate().map(|(at, cast)| make(at, cast)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM ROWS FROM (unnest({})) WITH ORDINALITY \
         AS r ({}, n) ORDER BY r.n {}",
        qualified(Some(schema), &shape.table),
        shape.quoted_all(),
        numbered(&|at, cast| format!("r.c{at}::{cast}")),
        numbered(&|at, _| format!("${}::text[]", at + 1)),
        numbered(&|at, _| format!("c{at}")),
        shape.on_conflict()
    )
}

/// The server looks for the unique constraint, for permissions and so on only when it runs a
/// statement: here it runs one of no rows.
pub async fn try_without_rows(
    client: &Client,
    shape: &Shape,
    insert: &Statement,
) -> Result<(), Error> {
    let none: &[Option<String>] = &[];
    let columns: Vec<&(dyn ToSql + Sync)> =
        shape.columns.iter().map(|_| &none as &(dyn ToSql + Sync)).collect();
    client.batch_execute("BEGIN").await.map_err(failed)?;
    let tried = client.execute(insert, &columns).await;
    client.batch_execute("ROLLBACK").await.map_err(failed)?;
    match tried {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some_and(|code| code.code() == "42P10") => {
            Err(crate::sql::no_key(shape))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Only with the first row the server would say that it cannot use such a constraint.
pub async fn refuse_deferrable_key(client: &Client, shape: &Shape, oid: u32) -> Result<(), Error> {
    let key = shape.columns.iter().zip(&shape.is_key).filter(|(_, is_key)| **is_key);
    let key: Vec<&str> = key.map(|((name, _), _)| name.as_str()).collect();
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i \
                 WHERE i.indrelid = $1 AND i.indisunique AND NOT i.indimmediate \
                 AND i.indnkeyatts = cardinality($2::text[]) \
                 AND i.indnkeyatts = (SELECT count(*) FROM pg_catalog.pg_attribute a \
                   WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
                   AND a.attname::text = ANY ($2::text[])))";
    let found = client.query_one(sql, &[&oid, &key]).await.map_err(failed)?;
    if !found.try_get::<_, bool>(0).map_err(failed)? {
        return Ok(());
    }
    let what = format!(
        "the unique constraint of {} over the key is DEFERRABLE, which UPSERT cannot use: \
         drop it; {}",
        shape.quoted_table(),
        shape.create_index()
    );
    Err(Error::Fatal { code: "sql-key", what })
}

/// Makes the table of fences if there is none. To look first spares the permission to make one.
pub async fn ensure_fence(client: &Client, fence: &str) -> Result<(), Error> {
    let sql = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
    let found = client.query_one(sql, &[&fence]).await.map_err(failed)?;
    if found.try_get(0).map_err(failed)? {
        return Ok(());
    }
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {fence} (pipeline text NOT NULL, stage text NOT NULL, \
         \"partition\" bigint NOT NULL, epoch bigint NOT NULL, position bigint NOT NULL, \
         PRIMARY KEY (pipeline, stage, \"partition\"))"
    );
    // The lock, whose number is ours alone, is for tasks that begin at the same time: the server
    // would let both create the table, and one fail.
    let locked = format!("BEGIN; SELECT pg_advisory_xact_lock(70617776466); {create}; COMMIT");
    client.batch_execute(&locked).await.map_err(|error| match failed(error) {
        Error::Fatal { what, .. } => {
            let what = format!("could not create the table of fences: {what}; do it: {create}");
            Error::Fatal { code: "sql-fence", what }
        }
        transient => transient,
    })
}
