--- note
Two tables: each employee with the name of the department; departments are renamed, close, and open again.
--- tables
CREATE TABLE departments (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE employees (id int PRIMARY KEY, name text NOT NULL, department int);
--- view staff key id
SELECT e.id, e.name, d.name AS department FROM employees e LEFT JOIN departments d ON d.id = e.department
--- view sizes key id
SELECT d.id, d.name, count(e.id) AS employees FROM departments d LEFT JOIN employees e ON e.department = d.id GROUP BY d.id, d.name
--- transaction
INSERT INTO departments VALUES (31, 'Sales'), (33, 'Engineering'), (34, 'Clerical'), (35, 'Marketing');
INSERT INTO employees VALUES (1, 'Rafferty', 31), (2, 'Jones', 33), (3, 'Heisenberg', 33), (4, 'Robinson', 34), (5, 'Smith', 34), (6, 'Williams', NULL);
--- transaction
UPDATE departments SET name = 'Research' WHERE id = 33;
--- transaction
UPDATE employees SET department = 35 WHERE id IN (4, 6);
--- transaction
DELETE FROM departments WHERE id = 34;
--- transaction
INSERT INTO departments VALUES (34, 'Clerks');
--- transaction
UPDATE departments SET id = 36 WHERE id = 31;
