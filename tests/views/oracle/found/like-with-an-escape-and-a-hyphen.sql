--- note
What LIKE takes as it is may be anything, signs of JavaScript's own patterns among it.
--- tables
CREATE TABLE t (id int PRIMARY KEY, p text);
--- view v
SELECT id, 'x-y/z.[a]{2}' LIKE p AS whole, p LIKE '%-\_/%' AS within FROM t
--- transaction
INSERT INTO t VALUES (1, 'x-\y/z.[a]{2}'), (2, 'x-_/%'), (3, '\x\-y\/z\.[a]\{2\}'), (4, 'a-_/b'), (5, '_-_/_.[_]{_}');
--- transaction
UPDATE t SET p = '\x' || substr(p, 2);
