--- note
Two whole rows are compared as values, in which NULL equals NULL; ROW(…) is compared field by field.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int, s text);
--- view v
SELECT a.id, b.id AS other, a = b AS same, a <> b AS differ, a < b AS less, ROW(a.*) = ROW(b.*) AS fields, a IS DISTINCT FROM b AS is_distinct,
  ROW(a.id, a.n, a.s) = b AS mixed, a IN (SELECT c FROM t c WHERE c.id <> 2) AS among, a IN (a, b) AS listed
FROM t a LEFT JOIN t b ON b.id >= a.id + 0 AND b.id < 3
--- view joined
SELECT a.id FROM t a JOIN t b ON a = b
--- transaction
INSERT INTO t VALUES (1, NULL, 'x'), (2, 2, NULL), (3, 3, 'z');
--- transaction
UPDATE t SET n = NULL, s = NULL;
