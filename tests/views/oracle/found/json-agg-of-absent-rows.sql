--- note
A row that is NULL, of a LEFT JOIN without partner, does not begin on a line of its own in json_agg.
--- tables
CREATE TABLE t0 (id int4 NOT NULL, a int4 NOT NULL, PRIMARY KEY (id));
CREATE TABLE t1 (id int8 NOT NULL, d int4 NOT NULL, PRIMARY KEY (id));
--- view v2
SELECT json_agg(a1 ORDER BY a0.id) AS c1, count(a1) AS n, bool_and(a1 IS NULL) AS isnull, count(a1) FILTER (WHERE NOT a1 IS DISTINCT FROM NULL) AS isd FROM t1 a0 LEFT JOIN t0 a1 ON a0.d = a1.id
--- transaction
INSERT INTO t1 VALUES ('-2', '2'), ('3', '0');
