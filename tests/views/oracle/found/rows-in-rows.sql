--- note
A row within a row is a value, whatever its fields are: IS NULL and IS NOT NULL look one level deep.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int);
CREATE TABLE u (id int PRIMARY KEY, n int);
--- view v
SELECT id, ROW(ROW(NULL), 1) IS NOT NULL AS a, ROW(ROW(n), 1) IS NOT NULL AS b, ROW(ROW(NULL), NULL) IS NULL AS c, ROW(t, 1) IS NOT NULL AS d FROM t
--- view w
SELECT t.id, ROW(u, 1) IS NOT NULL AS a, ROW(ROW(u)) IS NOT NULL AS b, ROW(u) IS NULL AS c FROM t LEFT JOIN u ON u.id = t.id
--- transaction
INSERT INTO t VALUES (1, NULL), (2, 2), (3, NULL);
INSERT INTO u VALUES (1, NULL), (2, 2);
--- transaction
DELETE FROM u WHERE id = 2;
