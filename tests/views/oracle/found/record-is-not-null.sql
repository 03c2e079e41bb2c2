--- note
A row IS NOT NULL when none of its columns is NULL, also where an outer join may leave it out, and where it comes out of a subquery.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int, s text);
CREATE TABLE u (id int PRIMARY KEY, n int);
--- view v
SELECT u.id, t IS NOT NULL AS has_all, t IS NULL AS has_none FROM u LEFT JOIN t ON t.id = u.n
--- view w
SELECT u.id, x.r IS NOT NULL AS has_all, x.r IS NULL AS has_none FROM u LEFT JOIN (SELECT t AS r, t.id FROM t) x ON x.id = u.n
--- view z
SELECT t.id, CASE WHEN n IS NULL THEN ROW(1, 2) ELSE ROW(NULL::int, n) END IS NOT NULL AS a, CASE WHEN n IS NULL THEN NULL ELSE t END IS NOT NULL AS b FROM t
--- transaction
INSERT INTO t VALUES (1, NULL, 'x'), (2, 2, 'NULL'), (3, NULL, NULL);
INSERT INTO u VALUES (1, 1), (2, 2), (3, 3), (4, 4);
--- transaction
UPDATE t SET n = 1;
