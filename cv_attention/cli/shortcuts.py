"""Suggests our options for option names of other programs."""

from collections.abc import Iterable

# Names of timm's and torchvision's scripts, ultralytics, Lightning's CLI and Hugging Face's Trainer, with _ for -.
_MEANT = {
    "optimizer.lr": "lr lr0 blr base_lr lr_base max_lr peak_lr learning_rate learningrate",
    "optimizer.weight_decay": "wd weight_decay l2 decay",
    "optimizer.name": "opt optim optimiser optimizer_name",
    "optimizer.options": "momentum betas beta1 beta2 eps opt_eps opt_betas nesterov",
    "optimizer.schedule": "sched scheduler lr_scheduler lr_schedule lr_scheduler_type",
    "optimizer.schedule_options": "min_lr lrf gamma step_size decay_epochs lr_step_size lr_gamma decay_rate",
    "optimizer.warmup_epochs": "warmup warmup_steps warmup_ratio lr_warmup_epochs",
    "optimizer.label_smoothing": "smoothing",
    "loss.name": "loss_name criterion loss_fn loss_type bce_loss",
    "loss.class_weights": "class_weight pos_weight",
    "loss.target_threshold": "bce_target_thresh",
    "loss.sum_classes": "bce_sum",
    "trainer.monitor": "eval_metric metric_for_best_model best_metric",
    "optimizer.ema": "model_ema ema_decay model_ema_decay",
    "optimizer.lr_scale": "lr_mult head_lr backbone_lr freeze",
    "trainer.max_epochs": "e epoch epochs n_epochs num_epochs nepochs num_train_epochs max_epoch",
    "trainer.devices": "g gpu gpus ngpus n_gpus num_gpus nproc_per_node num_devices world_size",
    "trainer.num_nodes": "nodes nnodes",
    "trainer.accelerator": "device cuda cpu no_cuda",
    "trainer.strategy": "distributed ddp fsdp dist_backend",
    "trainer.precision bf16-mixed": "amp bf16 amp_dtype mixed_precision use_amp",
    "trainer.precision 16-mixed": "fp16 half",
    "trainer.compile": "torchcompile torch_compile",
    "trainer.accumulate_grad_batches": "accumulate grad_accum grad_accum_steps gradient_accumulation_steps",
    "trainer.gradient_clip_val": "clip clip_grad clip_grad_norm grad_clip gradient_clip max_grad_norm",
    "trainer.deterministic": "use_deterministic_algorithms",
    "trainer.extra '{fast_dev_run: true}'": "fast_dev_run dry_run",
    "trainer.extra '{max_steps: N}'": "steps max_steps max_iters iterations",
    "trainer.extra '{limit_train_batches: N}'": "limit_train_batches",
    "trainer.extra '{limit_val_batches: N}'": "limit_val_batches",
    "trainer.extra '{check_val_every_n_epoch: N}'": "check_val_every_n_epoch val_freq eval_freq",
    "trainer.extra '{enable_progress_bar: false}'": "enable_progress_bar no_progress quiet",
    "data.batch_size": "b bs batch batchsize train_batch_size per_device_train_batch_size",
    "data.workers": "j workers num_workers nw n_workers dataloader_num_workers",
    "data.root": "data_path data_dir datadir dataset_dir data_root path train_dir",
    "data.name": "dataset ds dataset_name",
    "data.val_fraction": "val_split val_size validation_split",
    "data.test_fraction": "test_split test_size",
    "data.mixup": "mixup_alpha",
    "data.cutmix": "cutmix_alpha",
    "data.train_transforms": "transforms augment augmentation aug aa auto_augment hflip random_erase reprob",
    "data.eval_transforms": "imgsz img_size image_size input_size size crop_pct val_resize_size",
    "model.backbone": "m arch net network architecture backbone_name model_name",
    "model.block": "attention attn attn_layer block_name",
    "model.at": "position where",
    "model.options": "drop drop_path drop_rate dropout drop_path_rate",
    "model.weights": "checkpoint ckpt ckpt_path initial_checkpoint finetune pretrained_path load",
    "log.root": "output output_dir out save_dir logdir log_dir default_root_dir runs",
    "log.name": "name run run_name exp exp_name experiment",
    "log.project": "wandb_project",
    "log.wandb": "use_wandb log_wandb report_to",
    "log.group": "wandb_group",
    "log.tags": "tags wandb_tags",
    "log.every_n_steps": "print_freq log_every log_interval log_freq log_every_n_steps logging_steps",
    "log.keep": "save_total_limit checkpoint_hist save_top_k",
    "log.checkpoint_every_n_steps": "save_steps save_freq save_period",
    "seed": "random_seed manual_seed random_state s",
    "resume": "continue resume_from resume_from_checkpoint",
}
_OPTIONS = {name: option for option, names in _MEANT.items() for name in names.split()}
# The option meant by a value given to a whole section, as in --model resnet50.
SECTIONS = {
    "model": "model.backbone",
    "optimizer": "optimizer.name",
    "data": "data.root",
    "trainer": "trainer.max_epochs",
    "loss": "loss.name",
    "log": "log.root",
}


def meant(wrong: str, known: Iterable[str]) -> list[str]:
    """Finds the options meant by another program's option name, or by a name without its section.

    Args:
        wrong: The option as typed, such as ``--lr`` or ``trainer.epochs``.
        known: All existing options, without dashes; only these are returned.

    Returns:
        The options without dashes, some with a value (``trainer.precision bf16-mixed``); empty if none is known.
    """
    options = set(known)
    name = wrong.lstrip("-").rpartition(".")[2].replace("-", "_").lower()
    if name in options:
        return []  # the command's own option apart from hyphens: the closest match
    option = _OPTIONS.get(name)
    if option is not None and option.split()[0] in options:
        return [option]
    return sorted(option for option in options if "." in option and option.rpartition(".")[2] == name)
