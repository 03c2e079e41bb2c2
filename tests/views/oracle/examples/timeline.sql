--- note
Each user's timeline: the tweets of those whom the user follows, the newest first. Tweets come before and after follows, are deleted, and
users stop following.
--- tables
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE follows (follower int, followed int, PRIMARY KEY (follower, followed));
CREATE TABLE tweets (id bigint PRIMARY KEY, author int NOT NULL, content text NOT NULL, timestamp timestamp NOT NULL);
--- view timelines key follower
SELECT follows.follower, array_agg(tweets.* ORDER BY timestamp DESC) AS timeline
FROM tweets JOIN follows ON tweets.author = follows.followed GROUP BY follows.follower
--- view newest key follower, author, id
SELECT f.follower, t.author, t.id, t.content FROM follows f CROSS JOIN LATERAL (
  SELECT * FROM tweets t WHERE t.author = f.followed ORDER BY t.timestamp DESC, t.id LIMIT 2) t
--- view pages key id
SELECT u.id, u.name, (SELECT coalesce(json_agg(t ORDER BY t.timestamp DESC, t.id), '[]') FROM tweets t
  WHERE t.author IN (SELECT followed FROM follows WHERE follower = u.id)) AS timeline
FROM users u
--- transaction
INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
--- transaction
INSERT INTO follows VALUES (1, 2);
--- transaction
INSERT INTO tweets VALUES (100, 2, 'first, "quoted"', '2024-06-01 08:00:00');
--- transaction
INSERT INTO tweets VALUES (101, 3, 'nobody follows me', '2024-06-01 08:30:00'), (102, 2, 'second', '2024-06-01 09:00:00');
--- transaction
INSERT INTO follows VALUES (1, 3), (2, 3);
--- transaction
UPDATE tweets SET content = 'first' WHERE id = 100;
--- transaction
DELETE FROM tweets WHERE id = 102;
--- transaction
INSERT INTO tweets VALUES (99, 2, 'it was late', '2024-05-31 23:59:59');
--- transaction
DELETE FROM follows WHERE follower = 1 AND followed = 2;
--- transaction
DELETE FROM follows WHERE follower = 1;
--- transaction
INSERT INTO follows VALUES (1, 2); DELETE FROM tweets WHERE author = 2;
