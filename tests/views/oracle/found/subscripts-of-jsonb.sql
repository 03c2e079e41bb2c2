--- note
A subscript of jsonb is a path, not `->`: a text of digits names an element of an array, and a scalar has no element 0.
--- tables
CREATE TABLE t (id int PRIMARY KEY, j jsonb, i int, s text);
--- view v
SELECT id, j[0] AS a, j[-1] AS b, j['0'] AS c, j['a'] AS d, j['a'][0] AS e, j['a']['0'] AS f, j[i] AS g, j[s] AS h, j[NULL] AS k, j[1::smallint] AS l FROM t
--- transaction
INSERT INTO t VALUES (1, '5', 0, '0'), (2, '"s"', 0, 'a'), (3, 'null', NULL, NULL), (4, '[1, {"a": 2}]', 1, '1'), (5, '{"a": [3, 4], "0": 6}', 0, 'a'), (6, NULL, 1, 'x'), (7, '[]', -1, '-1');
