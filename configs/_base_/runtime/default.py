checkpoint_config = dict(interval=1)
evaluation = dict(interval=1, metrics=['top_k_accuracy'], topk=(1, 5), save_best='auto')
log_config = dict(interval=100, hooks=[dict(type='TextLoggerHook')])
log_level = 'INFO'
