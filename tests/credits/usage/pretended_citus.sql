-- Functions and views with the names, arguments and columns of Citus 12, which note what they are asked and show it
-- as done. A real one was not to be had. What they refuse is what Citus refuses by its source.
CREATE SCHEMA pretended;
CREATE SCHEMA citus;
SET search_path = pretended, public, pg_catalog;

CREATE TYPE citus.distribution_type AS ENUM ('hash', 'range', 'append');
CREATE TYPE noderole AS ENUM ('primary', 'secondary', 'unavailable');
CREATE TABLE asked (number serial, call text);
CREATE TABLE settings (name text PRIMARY KEY, value text);
INSERT INTO settings VALUES
    ('version', 'Citus 12.1.6 on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14) 12.2.0, 64-bit'),
    ('wal_level', 'logical'), ('citus.shard_replication_factor', '1'), ('breaks', ''), ('idle', ''),
    ('recovers', 'no');

CREATE TABLE pg_dist_local_group (groupid int);
INSERT INTO pg_dist_local_group VALUES (0);
CREATE TABLE pg_dist_node (
    nodeid serial, groupid int, nodename text DEFAULT 'localhost', nodeport int DEFAULT 5432,
    noderack text DEFAULT 'default', hasmetadata boolean DEFAULT true, isactive boolean DEFAULT true,
    noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default', metadatasynced boolean DEFAULT true,
    shouldhaveshards boolean
);
INSERT INTO pg_dist_node (groupid, shouldhaveshards) VALUES (0, false), (1, true), (2, true);
CREATE TABLE citus_tables (
    table_name regclass PRIMARY KEY, citus_table_type text, distribution_column text, colocation_id int,
    table_size text, shard_count bigint, table_owner name, access_method name
);

CREATE FUNCTION citus_version() RETURNS text LANGUAGE sql AS $$ SELECT value FROM settings WHERE name = 'version' $$;

CREATE FUNCTION pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$
    SELECT value = 'yes' FROM settings WHERE name = 'recovers'
$$;

CREATE FUNCTION current_setting(asked_for text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT value FROM settings WHERE name = asked_for), pg_catalog.current_setting(asked_for))
$$;

CREATE FUNCTION done(called text, relation regclass, kind text, by_column text, beside text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND NOT tgisinternal) THEN
        RAISE EXCEPTION 'cannot distribute relation "%" because it has triggers', relation;
    ELSIF EXISTS (SELECT FROM citus_tables WHERE table_name = relation AND citus_table_type <> 'local') THEN
        RAISE EXCEPTION 'table "%" is already distributed', relation;
    ELSIF EXISTS (SELECT FROM settings WHERE name = 'breaks' AND value = relation::text) THEN
        RAISE EXCEPTION 'connection to the remote node localhost:5432 failed';
    END IF;
    INSERT INTO asked (call) VALUES (called);
    IF EXISTS (SELECT FROM settings WHERE name = 'idle' AND value = relation::text) THEN
        RETURN;
    END IF;
    INSERT INTO citus_tables (table_name, citus_table_type, distribution_column, colocation_id)
    VALUES (relation, kind, by_column, CASE WHEN beside = 'none' THEN relation::oid::int ELSE beside::regclass::oid::int END)
    ON CONFLICT (table_name) DO UPDATE SET citus_table_type = excluded.citus_table_type,
        distribution_column = excluded.distribution_column, colocation_id = excluded.colocation_id;
END $$;

CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', table_name);
    PERFORM done(format('reference %s', table_name), table_name, 'reference', '<none>', 'none');
END $$;

CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
    distribution_type citus.distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default',
    shard_count int DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', table_name);
    PERFORM done(format('distributed %s by %s beside %s', table_name, distribution_column, colocate_with),
        table_name, 'distributed', distribution_column, colocate_with);
END $$;

CREATE FUNCTION create_distributed_table_concurrently(table_name regclass, distribution_column text,
    distribution_type citus.distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default',
    shard_count int DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM done(format('concurrently %s by %s beside %s, lock_timeout %s', table_name, distribution_column,
        colocate_with, pg_catalog.current_setting('lock_timeout')),
        table_name, 'distributed', distribution_column, colocate_with);
END $$;
