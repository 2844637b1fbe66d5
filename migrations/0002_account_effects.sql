ALTER TABLE `sessions` ADD `effects_due_at` datetime(3);--> statement-breakpoint
ALTER TABLE `users` ADD `effects_due_at` datetime(3);--> statement-breakpoint
ALTER TABLE `boards` ADD `effects_due_at` datetime(3);--> statement-breakpoint
CREATE INDEX `sessions_effects_due` ON `sessions` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `users_effects_due` ON `users` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `boards_effects_due` ON `boards` (`effects_due_at`);