--- note
An array beside a literal without a type: it is an array too.
--- tables
CREATE TABLE t (id int PRIMARY KEY, a text[] NOT NULL);
--- view v
SELECT id, a || '{1,2}' AS x, '{0}' || a AS y, a || 'z'::text AS z FROM t
--- transaction
INSERT INTO t VALUES (1, '{a,b}');
